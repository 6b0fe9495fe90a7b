// `node --import`: a CPU profile from one SIGUSR2 to the next, so that loading and compiling are not in it.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

const session = new Session();
session.connect();
session.post('Profiler.enable');
let runs = 0;
let running = false;
process.on('SIGUSR2', () => {
  running = !running;
  if (running) return void session.post('Profiler.start');
  session.post('Profiler.stop', (error, stopped) => {
    if (error !== null) throw error;
    runs += 1;
    const file = `${process.pid}-${runs}.cpuprofile`;
    writeFileSync(join(process.env.BENCH_PROFILE, file), JSON.stringify(stopped.profile));
  });
});
