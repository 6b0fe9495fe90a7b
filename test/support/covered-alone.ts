/**
 * In a process of mocha that runs test files: what it starts measures no coverage. Those programs run what was built, which
 * the report leaves out, and measuring makes each of them start a third slower and write megabytes at its end.
 */
if (process.env.MOCHA_WORKER_ID !== undefined) delete process.env.NODE_V8_COVERAGE;
