// A backend that believes X-Authenticated-Assertion and nothing else. Node.js 22.18 or newer runs it as it stands:
//   JWKS_URL=… ISSUER=… AUDIENCE=… PUBLIC_HOST=… PORT=… node server.ts
import { createServer } from 'node:http';
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set`);
  return value;
};

const ISSUER = setting('ISSUER');
const AUDIENCE = setting('AUDIENCE');
const PUBLIC_HOST = setting('PUBLIC_HOST');
// Kept for ten minutes; asked again for an unknown `kid`, but not more often than every 30 seconds.
const KEYS = createRemoteJWKSet(new URL(setting('JWKS_URL')), { cacheMaxAge: 600_000, cooldownDuration: 30_000 });

/** @throws where the assertion is not one for exactly this request */
async function verify(assertion: string, method: string, target: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(assertion, KEYS, {
    algorithms: ['ES256', 'EdDSA'],
    typ: 'postern-identity+jwt',
    issuer: ISSUER,
    audience: AUDIENCE,
    clockTolerance: 5,
    requiredClaims: ['iat', 'exp', 'sub', 'htm', 'hth', 'htp'],
  });
  const path = target.split('?', 1)[0];
  if (payload.htm !== method || payload.hth !== PUBLIC_HOST || payload.htp !== path)
    throw new errors.JWTClaimValidationFailed('made for another request', payload);
  // `amr: anonymous` comes with an empty subject: no user has signed in.
  if (payload.sub === '') throw new errors.JWTClaimValidationFailed('no user has signed in', payload, 'sub');
  return payload;
}

createServer(async (request, response) => {
  const answer = (status: number, text: string) => response.writeHead(status).end(`${text}\n`);
  // Node joins a header that came twice by a comma, which is no JWT.
  const assertion = request.headers['x-authenticated-assertion'];
  if (typeof assertion !== 'string' || assertion === '') return answer(401, 'no assertion');
  try {
    const { sub, groups } = await verify(assertion, request.method ?? '', request.url ?? '');
    return answer(200, `hello ${sub} of ${JSON.stringify(groups)}`);
  } catch (error) {
    // The keys could not be had: that is no fault of the caller.
    const outage =
      !(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout || error.code === 'ERR_JOSE_GENERIC';
    return answer(outage ? 503 : 401, outage ? 'try again shortly' : 'the assertion is not valid');
  }
}).listen(Number(setting('PORT')), '127.0.0.1');
