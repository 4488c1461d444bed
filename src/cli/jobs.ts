// `sealdex jobs`: shows the status of a job. The list of jobs is in jobs-list.ts.
import { Command } from 'commander';
import type { GateFacts } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { reasonMessage } from '../extract/reasons.ts';
import { isJobId } from '../runtime/names.ts';
import { UsageError } from './failure.ts';
import { actorOf, nextProbeOf } from './gate-lines.ts';
import { cancelJobsCommand } from './jobs-cancel.ts';
import { listJobsCommand } from './jobs-list.ts';
import { missingWorkerLines } from './missing-worker.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT } from './option-texts.ts';
import { printJson, printLine, printNotice, timeAndAge, toned } from './terminal.ts';
import { factLines, type Fact } from './table.ts';
import { host } from './host.ts';

export function jobsCommand(): Command {
  return new Command('jobs')
    .description('inspect and cancel jobs')
    .addCommand(listJobsCommand())
    .addCommand(showCommand())
    .addCommand(cancelJobsCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  sealdex jobs list --tenant acme\n  sealdex jobs show j0123456789abcdef0123456789abcdef\n  sealdex jobs cancel --tenant acme --dry-run',
    );
}

const placeOf = ({ keyArn, state, code, nextProbe, whoActs }: GateFacts): object => ({
  keyArn,
  state,
  code,
  nextProbe,
  whoActs,
});

function showCommand(): Command {
  return new Command('show')
    .description('show the state of a job')
    .argument('<job>', 'job id returned by sealdex index or the producer')
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
The state is queued, active, retrying, parked, done, superseded, dead or
unknown. A finished job is known for SEALDEX_STATUS_MS (1h), a dead letter until
it is discarded. For a parked job, also shows how often it was parked, its gate
and the next probe.

Exit codes:
  0   found
  66  unknown job

Example:
  sealdex jobs show j0123456789abcdef0123456789abcdef`,
    )
    .action(async (job: string, { json: asJson }: { json?: true }) => {
      if (!isJobId(job)) throw new UsageError('Invalid job id: expected j followed by 32 hex digits.');
      await withOperator(async (operator) => {
        const { state, code, reason, since, data, attempts, parked, gate } = await operator.job(job);
        const about = data && 'corpus' in data ? { corpus: data.corpus, revision: data.revision } : {};
        const place = data && { kind: data.kind, tenant: data.tenant, ...about };
        const rows: Fact[] = [
          ['job', job],
          ['state', state],
          ['code', code === undefined ? undefined : `${code}: ${CODES[code].description}; ${CODES[code].remedy}`],
          ['reason', code && (reasonMessage(code, reason) ?? reason)],
          ['since', since === undefined ? undefined : timeAndAge(since)],
          ...Object.entries(place ?? {}),
          ['attempts', attempts],
          ['parked', parked && (parked.count === 1 ? 'once' : `${parked.count} times`)],
          [
            'gate',
            gate &&
              `${gate.state} ${gate.code}, action by: ${actorOf(gate.whoActs)}. Details: sealdex keys show ${gate.keyArn}`,
          ],
          ['next probe', gate?.nextProbe === undefined ? undefined : nextProbeOf(gate.nextProbe)],
        ];
        if (asJson)
          printJson({
            job,
            state,
            code,
            reason,
            since,
            ...place,
            attempts,
            count: parked?.count,
            gate: gate && placeOf(gate),
          });
        else for (const line of factLines(rows)) printLine(line);
        if (state === 'queued' && !asJson)
          for (const line of missingWorkerLines(await operator.status(), data?.kind === 'upload'))
            printNotice(toned(line, 'warn'));
        if (state !== 'unknown') return;
        printNotice('Job not found. It finished more than SEALDEX_STATUS_MS ago or never existed.');
        host().exitCode = CODES.NOT_FOUND.exit;
      });
    });
}
