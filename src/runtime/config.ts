// Configuration: checked settings from the environment and from code, as one frozen Config.
// No other file reads the environment. An invalid setting is rejected, never replaced by a default.
import { SealdexError } from './errors.ts';
import { regionOf } from './key-arn.ts';
import { SETTINGS } from './settings.ts';
import { isUnknown, unknownProblem, warnOfUnknown } from './unknown-settings.ts';

/** Name of a setting, as in the environment. */
export type SettingName = keyof typeof SETTINGS;

/** Settings by their environment names; they take precedence over the environment. */
export type Settings = { readonly [name in SettingName]?: string | number | boolean | readonly string[] | undefined };

/** Variables of a process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Checked values under short names, frozen. */
export type Config = {
  readonly [N in SettingName as (typeof SETTINGS)[N]['as']]: ReturnType<(typeof SETTINGS)[N]['read']>;
};

/**
 * Environment of a process that was started from the command line. Unless SEALDEX_AUDIT_LOG says otherwise, its audit log is
 * standard output, which belongs to the host application in all other processes.
 */
export const commandLineEnvironment = (env: Environment): Environment => ({
  ...env,
  SEALDEX_AUDIT_LOG: env['SEALDEX_AUDIT_LOG'] || 'stdout',
});

const CREDENTIALS: ReadonlySet<string> = new Set<SettingName>([
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
]);

const unknownIn = (given: Readonly<Record<string, unknown>>): string[] => Object.keys(given).filter(isUnknown);

/** Unknown `SEALDEX_` variables: `reject` throws `CONFIG_INVALID`, `warn` emits a process warning. */
export type UnknownVariables = 'reject' | 'warn';

/**
 * Reads the settings; `settings` take precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` whose message lists every problem, a line each.
 */
export function loadConfig(
  settings: Settings = {},
  env: Environment = process.env,
  unknownVariables: UnknownVariables = 'reject',
): Config {
  const unknown = unknownVariables === 'warn' ? unknownIn(fromEnvironment(settings, env)) : [];
  const known = Object.entries(env).filter(([name]) => !unknown.includes(name));
  const { values, problems } = readSettings(settings, Object.fromEntries(known));
  warnOfUnknown(unknown);
  if (problems.length > 0) {
    const title = problems.length === 1 ? 'Invalid setting:' : 'Invalid settings:';
    throw new SealdexError('CONFIG_INVALID', [title, ...problems].join('\n  '));
  }
  return Object.freeze(values as Config);
}

/** The valid settings and every problem, for diagnosis; a process only starts with complete settings. */
export function readSettings(
  settings: Settings = {},
  env: Environment = process.env,
): { readonly values: Partial<Config>; readonly problems: readonly string[] } {
  const given: Readonly<Record<string, string | undefined>> = {
    ...fromEnvironment(settings, env),
    ...fromSettings(settings),
  };
  const problems = unknownIn(given).map(unknownProblem);
  const values: Record<string, unknown> = {};
  for (const [name, { as, byDefault, description, read }] of Object.entries(SETTINGS)) {
    const text = given[name] ?? byDefault;
    if (text === undefined) problems.push(`${name} is required (${description})`);
    if (text === undefined || text === null) continue;
    try {
      values[as] = read(text);
    } catch (error) {
      problems.push(`${name} ${(error as Error).message}`);
    }
  }
  problems.push(...problemsBetween(values));
  return { values, problems };
}

function fromSettings(settings: Settings): Record<string, string> {
  const asText = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, asText(value)]])),
  );
}

function fromEnvironment(settings: Settings, env: Environment): Record<string, string | undefined> {
  // Credentials belong together: the environment does not complete credentials that code provides.
  const isUsed = (name: string): boolean => settings.AWS_ACCESS_KEY_ID === undefined || !CREDENTIALS.has(name);
  const isSetting = (name: string): boolean => name.startsWith('SEALDEX_') || Object.hasOwn(SETTINGS, name);
  return Object.fromEntries(
    Object.entries(env).filter(([name, text]) => text !== '' && isSetting(name) && isUsed(name)),
  );
}

/** Problems between settings. */
function problemsBetween(read: Partial<Config>): string[] {
  const problems: string[] = [];
  if (read.stopMs !== undefined && read.drainMs !== undefined && read.stopMs <= read.drainMs) {
    problems.push('SEALDEX_STOP_MS must be greater than SEALDEX_DRAIN_MS, to leave time to return jobs to the queue');
  }
  if ((read.accessKeyId === undefined) !== (read.secretAccessKey === undefined)) {
    problems.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together');
  }
  if (read.sessionToken !== undefined && read.accessKeyId === undefined) {
    problems.push('AWS_SESSION_TOKEN requires AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (read.platformKeyArn !== undefined && read.region !== undefined && regionOf(read.platformKeyArn) !== read.region) {
    problems.push('SEALDEX_PLATFORM_KEY_ARN must be in the region given by AWS_REGION');
  }
  if (read.probeMinMs !== undefined && read.probeMaxMs !== undefined && read.probeMinMs > read.probeMaxMs) {
    problems.push('SEALDEX_PROBE_MIN_MS must not exceed SEALDEX_PROBE_MAX_MS');
  }
  if (read.metadataBytes !== undefined && read.documentBytes !== undefined && read.metadataBytes > read.documentBytes) {
    problems.push('SEALDEX_METADATA_BYTES must not exceed SEALDEX_DOCUMENT_BYTES');
  }
  return problems;
}

/** Credentials for AWS clients; empty without settings, so that the SDK uses its default credential chain. */
export function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: Config): {
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
} {
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } };
}

/** The current and the previous platform keys. */
export const platformArns = ({
  platformKeyArn,
  platformFormerKeyArns,
}: Pick<Config, 'platformKeyArn' | 'platformFormerKeyArns'>): ReadonlySet<string> =>
  new Set([platformKeyArn, ...platformFormerKeyArns]);
