import { createHash } from 'node:crypto';

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #f3f5f8; margin: 0; }
main { max-width: 26rem; margin: 8vh auto; padding: 2rem; background: #fff; border-radius: 10px; box-shadow: 0 1px 8px #0002; }
.warning { background: #b3261e; color: #fff; padding: .4rem .8rem; border-radius: 6px; font-weight: 600; text-align: center; }
h1 { font-size: 1.3rem; }
label { display: block; margin: .8rem 0; }
input { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; border: 1px solid #7a8699; border-radius: 6px; }
button { font: inherit; padding: .5rem 1.2rem; border: 1px solid #1f4fd8; border-radius: 6px; background: #1f4fd8; color: #fff; cursor: pointer; }
button.quiet { background: #fff; color: #1f4fd8; }
button:focus-visible, input:focus-visible { outline: 3px solid #f0a500; }
.error { color: #b3261e; font-weight: 600; }
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

export interface Page {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * One page of the development identity provider: no script, not framable, marked as what it is.
 *
 * @param body HTML; every foreign text in it escaped
 * @param redirectUri where the form may lead in the end. Browsers hold redirects after a form to `form-action` as well.
 */
export function page(title: string, body: string, redirectUri?: string): Page {
  const formTargets = ["'self'", redirectSource(redirectUri)].filter((source) => source !== undefined).join(' ');
  return {
    html: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><main><p class="warning">DEVELOPMENT ONLY</p><h1>${escapeHtml(title)}</h1>${body}</main></body>
</html>`,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${formTargets}; frame-ancestors 'none'; base-uri 'none'`,
      'X-Frame-Options': 'DENY',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
    },
  };
}

function redirectSource(redirectUri: string | undefined): string | undefined {
  if (redirectUri === undefined || !URL.canParse(redirectUri)) return undefined;
  const url = new URL(redirectUri);
  return /^https?:$/.test(url.protocol) ? url.origin : url.protocol;
}

export function signInPage(action: string, redirectUri: string | undefined, failed: boolean): Page {
  const error = failed ? '<p class="error" role="alert">This name and password do not belong together.</p>' : '';
  return page(
    'Sign in',
    `${error}<form method="post" action="${escapeHtml(action)}">
<label>Name <input name="username" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>
<p>alice, bob (engineering) or carol (sales); the password is the name.</p>`,
    redirectUri,
  );
}

export function consentPage(
  action: string,
  redirectUri: string,
  consent: { client: string; account: string; scopes: readonly string[]; resources: readonly string[] },
): Page {
  const list = (items: readonly string[]) => items.map((item) => `<li><code>${escapeHtml(item)}</code></li>`).join('');
  const goesTo = redirectSource(redirectUri) ?? '';
  return page(
    'Allow access?',
    `<p><strong>${escapeHtml(consent.client)}</strong>, at <code>${escapeHtml(goesTo)}</code>, wants to act for
<strong>${escapeHtml(consent.account)}</strong>.</p>
<p>Scopes:</p><ul>${list(consent.scopes)}</ul>
<p>Resources:</p><ul>${list(consent.resources)}</ul>
<form method="post" action="${escapeHtml(action)}">
<button name="answer" value="allow">Allow</button> <button class="quiet" name="answer" value="deny">Deny</button></form>`,
    redirectUri,
  );
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
