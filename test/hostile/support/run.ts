/** How many times the usual cases: 1 in CI, more in `npm run hostile`. */
export const TIMES = Number(process.env.POSTERN_HOSTILE_TIMES ?? 1);

const given = process.env.POSTERN_HOSTILE_SEED;

/** Of the generators: the same ones each time in CI, others in each long run, which says them so that it can be repeated. */
export const SEED =
  given !== undefined && given !== '' ? Number(given) : TIMES === 1 ? 20_261_129 : Math.floor(Math.random() * 2 ** 31);

if (TIMES > 1) process.stdout.write(`POSTERN_HOSTILE_SEED=${SEED}\n`);
