// `sealdex doctor`: our own installation looked at, one line for each check.
import { Command, Option } from 'commander';
import { CODES } from '../runtime/errors.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { checkLine } from './check-line.ts';
import { host } from './host.ts';

const ROLES = ['worker', 'producer', 'reader'] as const;

interface Options {
  readonly role: (typeof ROLES)[number];
  readonly json?: true;
}

const CHECK_CHARS = 'platform key, documents'.length;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at our own installation: settings, Redis, bucket, platform key')
    .addOption(new Option('--role <role>', 'whose permissions are tried').choices(ROLES).default('worker'))
    .option('--json', 'NDJSON: one line for each check')
    .addHelpText(
      'after',
      `
Run it where the role runs, with its settings and credentials. A line for each check: ok, warn or FAIL,
what was seen, and the remedy. All checks are made, whatever fails; what is written is removed again.
Tenants' own keys are not looked at: see sealdex keys check.

Exit code: 0, warnings or not; 78 when something is FAIL.

Examples:
  sealdex doctor
  sealdex doctor --role producer
  sealdex doctor --role reader --json`,
    )
    .action(async ({ role, json: asJson }: Options) => {
      const { examineInstallation } = await import('../app/app.ts');
      const counts = { ok: 0, warn: 0, fail: 0 };
      for await (const { check, ...found } of examineInstallation(undefined, { role, env: host().env })) {
        counts[found.status] += 1;
        if (asJson) printJson({ check, ...found });
        else printLine(checkLine({ name: check, ...found }, CHECK_CHARS));
      }
      if (!asJson) printNotice(`As ${role}: ${counts.ok} ok, ${counts.warn} to be looked at, ${counts.fail} failed.`);
      if (counts.fail > 0) host().exitCode = CODES.CONFIG_INVALID.exit;
    });
}
