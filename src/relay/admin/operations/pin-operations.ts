import { diffLines } from 'diff';
import { z } from 'zod';
import type { PinDecision, Tools } from '../../gate/tools/tools.ts';
import type { Operator } from '../access/operator.ts';
import { notFound, Operation } from './operation.ts';

const heldTool = z
  .object({
    server: z.string(),
    tool: z.string(),
    hash: z.string().meta({ description: 'of the definition as listed: what an approval names' }),
    pinned: z
      .string()
      .optional()
      .meta({ description: 'hash of the definition that may be used; absent: the tool is new' }),
    listedAt: z.iso.datetime(),
    rejectedAt: z.iso
      .datetime()
      .optional()
      .meta({ description: 'when an operator rejected this definition; absent: not rejected' }),
    definition: z.string().optional().meta({ description: 'as listed; absent: this replica has not seen it' }),
    changes: z
      .array(z.object({ kind: z.enum(['same', 'added', 'removed']), text: z.string() }))
      .optional()
      .meta({ description: 'from the pinned definition to the listed one; absent: this replica has not seen both' }),
  })
  .meta({ id: 'PendingTool' });

const listedTool = z.object({ server: z.string(), tool: z.string(), hash: z.string() });
const DECISION_PROBLEMS = { 404: 'No such definition is listed now.', 415: 'The body is not JSON.' } as const;

/** Milliseconds that comparing two definitions may take. */
const DIFF_TIME = 200;

/** Tools whose definition is new or changed, and how an operator lets one through or keeps it out. */
export function pinOperations(tools: Tools) {
  return {
    listPendingTools: new Operation(
      {
        id: 'listPendingTools',
        method: 'GET',
        path: '/pins',
        summary: 'Tools that are held back until an operator approves, with what changed',
        input: z.object({}),
        output: z.object({ held: z.array(heldTool) }),
      },
      async () => {
        await tools.load();
        return {
          held: tools.held().map(({ server, tool, listed, pinned, listedAt, rejectedAt, definition }) => ({
            server,
            tool,
            hash: listed,
            pinned,
            listedAt: new Date(listedAt).toISOString(),
            rejectedAt: rejectedAt === undefined ? undefined : new Date(rejectedAt).toISOString(),
            definition,
            changes: changesBetween(pinned === undefined ? undefined : tools.definition(pinned), definition),
          })),
        };
      },
    ),
    approveTool: new Operation(
      {
        id: 'approveTool',
        method: 'POST',
        path: '/pins/approve',
        summary: 'Lets the definition through that has this hash',
        input: listedTool,
        output: z.object({ approved: z.literal(true) }),
        problems: DECISION_PROBLEMS,
      },
      async (wanted, operator) => {
        await decide(tools, 'approve', wanted, operator);
        return { approved: true as const };
      },
    ),
    rejectTool: new Operation(
      {
        id: 'rejectTool',
        method: 'POST',
        path: '/pins/reject',
        summary: 'Keeps the definition out that has this hash; it can be approved later',
        input: listedTool,
        output: z.object({ rejected: z.literal(true) }),
        problems: DECISION_PROBLEMS,
      },
      async (wanted, operator) => {
        await decide(tools, 'reject', wanted, operator);
        return { rejected: true as const };
      },
    ),
  };
}

async function decide(
  tools: Tools,
  decision: PinDecision,
  wanted: z.output<typeof listedTool>,
  { person }: Operator,
): Promise<void> {
  await tools.load();
  if (!tools.decide(decision, wanted, person)) throw notFound('no such definition is listed now: look again');
}

function changesBetween(before: string | undefined, after: string | undefined) {
  if (before === undefined || after === undefined) return undefined;
  const changes = diffLines(readable(before), readable(after), { timeout: DIFF_TIME });
  return changes?.map(({ added, removed, value }) => ({
    kind: added ? ('added' as const) : removed ? ('removed' as const) : ('same' as const),
    text: value,
  }));
}

/** One value a line, by name: the order in which a server writes them means nothing. */
function readable(definition: string): string {
  try {
    return `${JSON.stringify(sorted(JSON.parse(definition)), null, 2)}\n`;
  } catch {
    // It was cut.
    return `${definition}\n`;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, part]) => [name, sorted(part)]));
}
