// Fetches and builds all that a cluster of the tests needs, and prints where the sources of Kubernetes are: for cluster.sh.

import { goModuleOrSkip } from '../support/go-module.ts';
import { chartOrSkip } from '../support/kubernetes/chart.ts';
import { customResourceDefinitionsOrSkip } from '../support/kubernetes/custom-resources.ts';
import { apiServerProgramsOrSkip, KUBERNETES, nodeProgramsOrSkip } from '../support/kubernetes/programs.ts';

const context = {
  timeout: () => {},
  skip: () => {
    throw new Error('without it there is no cluster');
  },
} as unknown as Mocha.Context;
await apiServerProgramsOrSkip(context);
await nodeProgramsOrSkip(context);
await customResourceDefinitionsOrSkip(context);
await chartOrSkip(context);
console.log(await goModuleOrSkip(context, KUBERNETES));
