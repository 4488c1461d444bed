// `sealdex policy`: prints the minimal IAM policy of each sealdex role.
import { Argument, Command } from 'commander';
import { rolePolicy, ROLES, type Role } from '../policies/role-policy.ts';
import { SETTINGS } from '../runtime/settings.ts';
import { UsageError } from './failure.ts';
import { EXAMPLE_ARN, JSON_LINE } from './option-texts.ts';
import { jsonText, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly bucket?: string;
  readonly platformKey?: string;
  readonly queue?: string;
  readonly json?: true;
}

export function policyCommand(): Command {
  return new Command('policy')
    .description('print the least-privilege IAM policy for a sealdex role')
    .addArgument(new Argument('<role>', 'sealdex role').choices(ROLES))
    .option('--bucket <name>', 'S3 bucket (default: SEALDEX_BUCKET)')
    .option('--platform-key <arn>', 'platform KMS key (default: SEALDEX_PLATFORM_KEY_ARN)')
    .option('--queue <name>', 'name of the installation (default: SEALDEX_QUEUE or main)')
    .option('--json', JSON_LINE)
    .addHelpText(
      'after',
      `
Standard output contains only the policy. The role worker is for sealdex worker,
producer and reader are for your own API, and operator is for this command line
(except the commands worker, extract, dev and demo).

Tenant accounts are not known in advance, so the policy allows every key in the
region; each key's own policy decides who may use it. A condition on the
encryption context's purpose limits the role to sealdex's own use, also for keys
in your account.

Redis permissions are not included; they come from the user in REDIS_URL.

Examples:
  sealdex policy worker > worker.json
  sealdex policy reader --bucket my-bucket --platform-key ${EXAMPLE_ARN}`,
    )
    .action(print);
}

function print(role: Role, options: Options): void {
  const former = host().env['SEALDEX_PLATFORM_FORMER_KEY_ARNS'] ?? '';
  const policy = rolePolicy(role, {
    bucket: valueOf('SEALDEX_BUCKET', '--bucket', options.bucket),
    platformKeyArn: valueOf('SEALDEX_PLATFORM_KEY_ARN', '--platform-key', options.platformKey),
    platformFormerKeyArns: read('SEALDEX_PLATFORM_FORMER_KEY_ARNS', 'SEALDEX_PLATFORM_FORMER_KEY_ARNS', former),
    queue: valueOf('SEALDEX_QUEUE', '--queue', options.queue),
  });
  printLine(jsonText(policy, options.json ? undefined : 2));
  printNotice(
    `Least-privilege policy for ${role}. If S3 encrypts the bucket with your own KMS key, also allow that key.`,
  );
}

type Named = 'SEALDEX_BUCKET' | 'SEALDEX_PLATFORM_KEY_ARN' | 'SEALDEX_PLATFORM_FORMER_KEY_ARNS' | 'SEALDEX_QUEUE';

/** The value of the option, or else of the environment. @throws UsageError */
function valueOf(name: Exclude<Named, 'SEALDEX_PLATFORM_FORMER_KEY_ARNS'>, option: string, given?: string): string {
  const fromEnvironment = host().env[name] === '' ? undefined : host().env[name];
  const text = given ?? fromEnvironment ?? SETTINGS[name].byDefault;
  if (text === undefined || text === null) throw new UsageError(`Use ${option} or set ${name}.`);
  return read(name, given === undefined ? name : option, text);
}

/** @throws UsageError that names the source of the text */
function read<N extends Named>(name: N, from: string, text: string): ReturnType<(typeof SETTINGS)[N]['read']> {
  try {
    return SETTINGS[name].read(text) as ReturnType<(typeof SETTINGS)[N]['read']>;
  } catch (error) {
    throw new UsageError(`${from} ${(error as Error).message}.`);
  }
}
