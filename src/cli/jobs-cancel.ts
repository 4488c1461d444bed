// `sealdex jobs cancel` and `sealdex parked discard`: delete jobs of a tenant that no worker is running, after a confirmation.
import { Command, InvalidArgumentError } from 'commander';
import type { Canceled, CancelableKind, CancelFilter, Operator } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { checkName } from '../runtime/names.ts';
import { countsOf, interruptedCode, parts, withProgress } from './dead-selection.ts';
import { UsageError } from './failure.ts';
import { host } from './host.ts';
import { untilInterrupted } from './interrupt.ts';
import { JSON_OBJECT, TENANT, YES } from './option-texts.ts';
import { canAsk, isYes, promptUser } from './prompt.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { withOperator } from './with-clients.ts';

interface Options {
  readonly tenant: string;
  readonly corpus?: string;
  readonly kind?: CancelableKind;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

const KINDS: readonly CancelableKind[] = ['index', 'upload', 'delete'];

const EFFECT = `Deletes the jobs and their content. Their state is dead with JOB_CANCELED; they
are not dead letters and cannot be replayed. Stored documents, jobs that a
worker is running and jobs that are queued later are not affected. Deletions are
canceled only with --kind delete. Asks for confirmation.`;

const cancelCommand = (name: string, description: string, state: CancelFilter['state']): Command =>
  new Command(name)
    .description(description)
    .requiredOption('--tenant <name>', TENANT)
    .option('--corpus <name>', 'only this corpus')
    .option('--kind <kind>', `only this kind: ${KINDS.join(', ')} (default: index and upload)`, parseKind)
    .option('--dry-run', 'count the jobs and change nothing')
    .option('--yes', YES)
    .option('--json', `${JSON_OBJECT}; requires --yes or --dry-run`)
    .action((options: Options) => {
      const { yes, dryRun, json: asJson } = options;
      if (!yes && !dryRun && (asJson || !canAsk()))
        throw new UsageError('Cannot ask for confirmation without a terminal. Use --yes.');
      return untilInterrupted((signal) => withOperator((operator) => run(operator, options, state, signal)));
    });

export const cancelJobsCommand = (): Command =>
  cancelCommand('cancel', "cancel a tenant's jobs that are queued, retrying or parked", undefined).addHelpText(
    'after',
    `
${EFFECT}

Examples:
  sealdex jobs cancel --tenant acme --dry-run
  sealdex jobs cancel --tenant acme --corpus docs --kind upload --yes`,
  );

export const discardParkedCommand = (): Command =>
  cancelCommand('discard', "cancel a tenant's parked jobs", 'parked').addHelpText(
    'after',
    `
${EFFECT}

Examples:
  sealdex parked discard --tenant acme --dry-run
  sealdex parked discard --tenant acme --yes`,
  );

function parseKind(text: string): CancelableKind {
  const kind = KINDS.find((each) => each === text);
  if (kind) return kind;
  throw new InvalidArgumentError(`Expected ${KINDS.join(', ')}.`);
}

const leftRunning = (active: number): string[] =>
  parts([active, `${active} active job${active === 1 ? ' is' : 's are'} not affected`]);

const summaryOf = ({ canceled, active, contentLeft }: Canceled): string =>
  [
    `canceled ${canceled}`,
    ...leftRunning(active),
    ...parts([contentLeft, `content of ${contentLeft} not deleted yet; it is deleted within minutes`]),
  ].join(', ');

async function run(
  operator: Operator,
  { tenant, corpus, kind, dryRun, yes, json: asJson }: Options,
  state: CancelFilter['state'],
  signal: AbortSignal,
): Promise<void> {
  checkName(tenant, 'tenant');
  if (corpus !== undefined) checkName(corpus, 'corpus');
  // Jobs that are queued after the question are not part of it.
  const filter: CancelFilter = { tenant, corpus, kind, state, queuedBefore: systemClock.now() + 1 };
  const { kinds, active } = await operator.countCancelable(filter, signal);
  const total = [...kinds.values()].reduce((sum, count) => sum + count, 0);
  const jobs = `${total} job${total === 1 ? '' : 's'}${total === 0 ? '' : ` (${countsOf(kinds)})`}`;
  if (dryRun) {
    if (asJson) return printJson({ cancelable: total, kinds: Object.fromEntries(kinds), active });
    return printLine([`would cancel ${jobs}`, ...leftRunning(active)].join(', '));
  }
  if (total > 0 && !yes) {
    const question = `Permanently cancel ${jobs} of tenant ${tenant} and delete the content? [y/N] `;
    if (!isYes(await promptUser(question, signal))) return printNotice('No jobs were canceled.');
  }
  await withProgress<Canceled>(
    {
      label: 'canceled',
      total,
      asJson: asJson === true,
      countOf: ({ canceled }) => canceled,
      summarize: (result) => (asJson ? printJson(result) : printLine(summaryOf(result))),
    },
    (onProgress) => operator.cancelJobs(filter, { signal, onProgress }),
  );
  host().exitCode = interruptedCode(signal) ?? host().exitCode ?? 0;
}
