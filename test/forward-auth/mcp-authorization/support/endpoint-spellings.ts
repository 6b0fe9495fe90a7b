/**
 * The ways to write an endpoint's path that some router, parser or proxy takes for the same one, and a few more.
 *
 * @param path of the endpoint
 * @param origin for the absolute form
 */
export function endpointSpellings(path: string, origin: string): string[] {
  const [head = '', last = ''] = [path.slice(0, path.lastIndexOf('/') + 1), path.slice(path.lastIndexOf('/') + 1)];
  const encoded = (text: string) => [...text].map((one) => `%${one.charCodeAt(0).toString(16)}`).join('');
  const capital = last.slice(0, 1).toUpperCase() + last.slice(1);
  return [
    `${path}/`,
    `${path}//`,
    path.toUpperCase(),
    `${head}${last.toUpperCase()}`,
    `${head}${last.toUpperCase()}/`,
    `${head}${capital}`,
    // Upper case of these letters is ASCII: U+017F is S, U+0131 is I, U+212A is K.
    ...(last.includes('s') ? [`${head}${last.replace('s', '%C5%BF')}`] : []),
    ...(last.includes('i') ? [`${head}${last.replace('i', '%C4%B1')}`] : []),
    `/${path}`,
    path.replaceAll('/', '//'),
    `${head}/${last}`,
    `${head}./${last}`,
    `${head}x/../${last}`,
    `${head}%2e%2e/${last}`,
    `${head}%2e/${last}`,
    `${path}/.`,
    `${path}/..`,
    `${path}/%2e`,
    `${head}${encoded(last)}`,
    `${head}${encoded(last.slice(0, 1))}${last.slice(1)}`,
    ...(head === '/' ? [] : [`${head.slice(0, -1)}%2f${last}`]),
    `${path}%2f`,
    `${path}%20`,
    `${path}%00`,
    `${path};`,
    `${path};x=1`,
    `${path}/;x`,
    `${path}.`,
    `${path}.json`,
    `${path}%3f`,
    `${head}\\${last}`,
    `${origin}${path}`,
    `${origin}${path}/`,
    `${origin.toUpperCase()}${path.toUpperCase()}`,
    `http://elsewhere.example${head}${capital}`,
  ];
}
