// `sealdex doctor`: checks the installation, and prints one line for each check.
import { Command, Option } from 'commander';
import { commandLineEnvironment } from '../runtime/config.ts';
import { CODES } from '../runtime/errors.ts';
import { jsonLines, WIDE_CHECKS } from './option-texts.ts';
import { counted, printJson, printLine, printNotice } from './terminal.ts';
import { checkLines } from './check-line.ts';
import { host } from './host.ts';

const ROLES = ['worker', 'producer', 'reader'] as const;

interface Options {
  readonly role: (typeof ROLES)[number];
  readonly wide?: true;
  readonly json?: true;
}

const CHECK_CHARS = 'platform key, documents'.length;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check settings, Redis, bucket, platform key and permissions')
    .addOption(new Option('--role <role>', 'role whose permissions are tested').choices(ROLES).default('worker'))
    .option('--wide', WIDE_CHECKS)
    .option('--json', jsonLines('check'))
    .addHelpText(
      'after',
      `
Run it where the role runs, with the same settings and credentials. Prints for
each check: ok, warn or FAIL, the observation and the remedy. A failed check
does not stop the others. Test objects are removed. Tenant keys are not checked;
use sealdex keys check.

Exit codes:
  0   no failures, possibly with warnings
  78  at least one FAIL

Examples:
  sealdex doctor
  sealdex doctor --role producer
  sealdex doctor --role reader --json`,
    )
    .action(async ({ role, wide, json: asJson }: Options) => {
      const { examineInstallation } = await import('../app/app.ts');
      const env = commandLineEnvironment(host().env);
      const counts = { ok: 0, warn: 0, fail: 0 };
      for await (const { check, ...found } of examineInstallation(undefined, { role, env })) {
        counts[found.status] += 1;
        if (asJson) printJson({ check, ...found });
        else for (const line of checkLines({ name: check, ...found }, CHECK_CHARS, wide === true)) printLine(line);
      }
      if (!asJson)
        printNotice(
          `Checks for the role ${role}: ${counts.ok} ok, ${counted(counts.warn, 'warning')}, ${counts.fail} failed.`,
        );
      if (counts.fail > 0) host().exitCode = CODES.CONFIG_INVALID.exit;
    });
}
