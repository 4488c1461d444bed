// `sealdex jobs show`: where a job is and what became of it.
import { Command } from 'commander';
import { CODES } from '../errors.ts';
import { UsageError } from './failure.ts';
import { json, out, table, time } from './terminal.ts';

export function jobsCommand(): Command {
  return new Command('jobs')
    .description('look at single jobs')
    .addCommand(showCommand())
    .addHelpText('after', '\nExample:\n  sealdex jobs show j0123456789abcdef0123456789abcdef');
}

function showCommand(): Command {
  return new Command('show')
    .description('where a job is: queued, active, retrying, done, superseded, dead or unknown')
    .argument('<job>', 'the job id that sealdex index or the producer gave')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      '\nA finished job is known for SEALDEX_STATUS_MS (an hour).\n\nExample:\n  sealdex jobs show j0123456789abcdef0123456789abcdef',
    )
    .action(async (job: string, { json: asJson }: { json?: true }) => {
      if (!/^j[0-9a-f]{32}$/.test(job)) throw new UsageError('a job id is j and 32 hex digits.');
      const { createOperator } = await import('../app.ts');
      const operator = await createOperator();
      try {
        const { state, code, since, data, attempts } = await operator.job(job);
        const place = data && { kind: data.kind, tenant: data.tenant, corpus: data.corpus, revision: data.revision };
        if (asJson) return json({ job, state, code, since, ...place, attempts });
        const rows: [string, string | number | undefined][] = [
          ['job', job],
          ['state', state],
          ['code', code === undefined ? undefined : `${code}: ${CODES[code].means}; ${CODES[code].todo}`],
          ['since', since === undefined ? undefined : time(since)],
          ...Object.entries(place ?? {}),
          ['attempts', attempts],
        ];
        for (const line of table(
          rows.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
        ))
          out(line);
      } finally {
        await operator[Symbol.asyncDispose]();
      }
    });
}
