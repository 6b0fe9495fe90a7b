// Runs in the page, so it is plain JavaScript that nothing compiles. Its value is an object of functions.
({
  look(least) {
    const faults = [];
    const name = (element) => `<${element.localName}> "${(element.textContent ?? '').trim().slice(0, 40)}"`;
    const root = document.documentElement;
    if (root.lang === '') faults.push('no language');
    if (document.title.trim() === '') faults.push('no title');
    if (document.querySelectorAll('h1').length !== 1) faults.push('not exactly one h1');
    if (document.querySelector('main') === null) faults.push('no main landmark');
    if (root.scrollWidth > root.clientWidth) faults.push(`${root.scrollWidth} px wide in ${root.clientWidth} px`);

    for (const control of document.querySelectorAll('a, button, input, select, textarea')) {
      if (control instanceof HTMLInputElement && control.type === 'hidden') continue;
      const labels = [...(control.labels ?? [])].map((label) => label.textContent ?? '');
      const described = (control.getAttribute('aria-labelledby') ?? '')
        .split(/\s+/)
        .map((id) => document.getElementById(id)?.textContent ?? '');
      const text = /^(?:A|BUTTON)$/.test(control.tagName) ? (control.textContent ?? '') : '';
      const said = [text, control.getAttribute('aria-label') ?? '', ...labels, ...described].join('').trim();
      if (said === '') faults.push(`no name: ${control.outerHTML.slice(0, 80)}`);
    }

    // A canvas reads every way of writing a color.
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    const paint = (layers) => {
      pen.clearRect(0, 0, 1, 1);
      for (const layer of layers) {
        pen.fillStyle = layer;
        pen.fillRect(0, 0, 1, 1);
      }
      const light = [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * (light[0] ?? 0) + 0.7152 * (light[1] ?? 0) + 0.0722 * (light[2] ?? 0);
    };
    const probe = document.createElement('i');
    probe.style.backgroundColor = 'Canvas';
    root.append(probe);
    const base = getComputedStyle(probe).backgroundColor;
    probe.remove();
    for (const element of document.querySelectorAll('body, body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && (node.textContent ?? '').trim() !== '');
      if (!own || !element.checkVisibility()) continue;
      const layers = [];
      for (let at = element; at !== null; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
      layers.unshift(base);
      const behind = paint(layers);
      const front = paint([...layers, getComputedStyle(element).color]);
      const ratio = (Math.max(behind, front) + 0.05) / (Math.min(behind, front) + 0.05);
      if (ratio < least) faults.push(`contrast ${ratio.toFixed(2)}: ${name(element)}`);
    }
    return faults;
  },
  /** Marks the controls that one can use. */
  mark() {
    const shown = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')].filter(
      (control) => control.checkVisibility() && !control.disabled && control.type !== 'hidden',
    );
    const texts = shown.map((control) => control.outerHTML.slice(0, 80));
    for (const [index, control] of shown.entries()) control.dataset.reach = String(index);
    document.activeElement?.blur();
    return texts;
  },
  /** Which of them has the focus, and whether one sees it. */
  focus() {
    const element = document.activeElement;
    if (element?.dataset.reach === undefined) return undefined;
    const style = getComputedStyle(element);
    const ring = style.outlineStyle !== 'none' && style.outlineWidth !== '0px';
    return { index: Number(element.dataset.reach), seen: ring || style.boxShadow !== 'none' };
  },
});
