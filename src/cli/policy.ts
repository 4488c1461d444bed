// `sealdex policy`: the least IAM policy of each of our own roles.
import { Argument, Command } from 'commander';
import { rolePolicy, ROLES, type Role } from '../policies/role-policy.ts';
import { SETTINGS } from '../runtime/settings.ts';
import { UsageError } from './failure.ts';
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
    .description('print the least IAM policy of one of our own roles')
    .addArgument(new Argument('<role>', 'whose').choices(ROLES))
    .option('--bucket <name>', 'the S3 bucket (SEALDEX_BUCKET)')
    .option('--platform-key <arn>', 'our own KMS key (SEALDEX_PLATFORM_KEY_ARN)')
    .option('--queue <name>', 'name of the installation (SEALDEX_QUEUE, or main)')
    .option('--json', 'on one line')
    .addHelpText(
      'after',
      `
Standard output is the policy alone. worker is sealdex worker; producer and reader are what your own API
opens; operator is this command line, with all its commands but worker, extract, dev and demo.

Tenants' keys are in accounts that nobody knows beforehand, so the policy names every key of the region:
which ones really answer, each key's own policy decides. In your own account that is every key whose policy
leaves it to IAM, so the use is bound to the purpose that stands in each of our encryption contexts.
Redis has no part in it: its rights are those of the user in REDIS_URL.

Examples:
  sealdex policy worker > worker.json
  sealdex policy reader --bucket my-bucket --platform-key arn:aws:kms:us-west-2:111122223333:key/…`,
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
  printNotice(`The least that ${role} needs. A bucket that S3 encrypts with a KMS key of yours needs that key beside.`);
}

type Named = 'SEALDEX_BUCKET' | 'SEALDEX_PLATFORM_KEY_ARN' | 'SEALDEX_PLATFORM_FORMER_KEY_ARNS' | 'SEALDEX_QUEUE';

/** What the option says, or else the environment. @throws UsageError */
function valueOf(name: Exclude<Named, 'SEALDEX_PLATFORM_FORMER_KEY_ARNS'>, option: string, given?: string): string {
  const fromEnvironment = host().env[name] === '' ? undefined : host().env[name];
  const text = given ?? fromEnvironment ?? SETTINGS[name].byDefault;
  if (text === undefined || text === null) throw new UsageError(`Give ${option}, or set ${name}.`);
  return read(name, given === undefined ? name : option, text);
}

/** @throws UsageError that names where the text is from */
function read<N extends Named>(name: N, from: string, text: string): ReturnType<(typeof SETTINGS)[N]['read']> {
  try {
    return SETTINGS[name].read(text) as ReturnType<(typeof SETTINGS)[N]['read']>;
  } catch (error) {
    throw new UsageError(`${from} ${(error as Error).message}.`);
  }
}
