// The one reader of settings: makes the frozen Config out of the environment and what goes over it.
// Nobody else reads the environment. A wrong setting is refused with all faults listed, never replaced.
import { SealdexError } from './errors.ts';
import { regionOf } from './key-arn.ts';
import { SETTINGS } from './settings.ts';

export type SettingName = keyof typeof SETTINGS;

/** Settings by their environment names; what is given here goes over the environment. */
export type Settings = { readonly [name in SettingName]?: string | number | boolean | readonly string[] | undefined };

/** Variables of a process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the rest of the house sees: checked values under short names, frozen. */
export type Config = {
  readonly [N in SettingName as (typeof SETTINGS)[N]['as']]: ReturnType<(typeof SETTINGS)[N]['read']>;
};

const CREDENTIALS: ReadonlySet<string> = new Set<SettingName>([
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
]);

/**
 * Reads settings, those given over those of the environment.
 * @throws SealdexError `CONFIG_INVALID` whose message lists every fault, a line each.
 */
export function loadConfig(settings: Settings = {}, env: Environment = process.env): Config {
  const { values, faults } = readSettings(settings, env);
  if (faults.length > 0) {
    const title = faults.length === 1 ? 'A setting is wrong:' : 'Settings are wrong:';
    throw new SealdexError('CONFIG_INVALID', [title, ...faults].join('\n  '));
  }
  return Object.freeze(values as Config);
}

/** What can be read, and every fault: for who wants to look on all the same. Nobody works with a part of the settings. */
export function readSettings(
  settings: Settings = {},
  env: Environment = process.env,
): { readonly values: Partial<Config>; readonly faults: readonly string[] } {
  const given: Readonly<Record<string, string | undefined>> = {
    ...fromEnvironment(settings, env),
    ...fromSettings(settings),
  };
  const faults = Object.keys(given)
    .filter((name) => !Object.hasOwn(SETTINGS, name))
    .map((name) => `${name} is no setting`);
  const values: Record<string, unknown> = {};
  for (const [name, { as, byDefault, description, read }] of Object.entries(SETTINGS)) {
    const text = given[name] ?? byDefault;
    if (text === undefined) faults.push(`${name} must be given: ${description}`);
    if (text === undefined || text === null) continue;
    try {
      values[as] = read(text);
    } catch (error) {
      faults.push(`${name} ${(error as Error).message}`);
    }
  }
  faults.push(...faultsBetween(values));
  return { values, faults };
}

function fromSettings(settings: Settings): Record<string, string> {
  const asText = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, asText(value)]])),
  );
}

function fromEnvironment(settings: Settings, env: Environment): Record<string, string | undefined> {
  // Credentials belong together: those of the environment do not complete those that are given.
  const isOurs = (name: string): boolean => settings.AWS_ACCESS_KEY_ID === undefined || !CREDENTIALS.has(name);
  const isSetting = (name: string): boolean => name.startsWith('SEALDEX_') || Object.hasOwn(SETTINGS, name);
  return Object.fromEntries(
    Object.entries(env).filter(([name, text]) => text !== '' && isSetting(name) && isOurs(name)),
  );
}

/** Faults that no setting has alone. */
function faultsBetween(read: Partial<Config>): string[] {
  const faults: string[] = [];
  if (read.stopMs !== undefined && read.drainMs !== undefined && read.stopMs <= read.drainMs) {
    faults.push('SEALDEX_STOP_MS must be more than SEALDEX_DRAIN_MS, so that jobs can be handed back in between');
  }
  if ((read.accessKeyId === undefined) !== (read.secretAccessKey === undefined)) {
    faults.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be given together');
  }
  if (read.sessionToken !== undefined && read.accessKeyId === undefined) {
    faults.push('AWS_SESSION_TOKEN goes only with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (read.platformKeyArn !== undefined && read.region !== undefined && regionOf(read.platformKeyArn) !== read.region) {
    faults.push('SEALDEX_PLATFORM_KEY_ARN must be a key of the region in AWS_REGION');
  }
  if (read.probeMinMs !== undefined && read.probeMaxMs !== undefined && read.probeMinMs > read.probeMaxMs) {
    faults.push('SEALDEX_PROBE_MIN_MS must not be more than SEALDEX_PROBE_MAX_MS');
  }
  if (read.metadataBytes !== undefined && read.documentBytes !== undefined && read.metadataBytes > read.documentBytes) {
    faults.push('SEALDEX_METADATA_BYTES must not be more than SEALDEX_DOCUMENT_BYTES');
  }
  return faults;
}

/** What AWS clients are given: nothing, so that the SDK's own chain is asked, or the credentials of the settings. */
export function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: Config): {
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
} {
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } };
}

/** The platform keys, today's and those of the past. */
export const platformArns = ({
  platformKeyArn,
  platformFormerKeyArns,
}: Pick<Config, 'platformKeyArn' | 'platformFormerKeyArns'>): ReadonlySet<string> =>
  new Set([platformKeyArn, ...platformFormerKeyArns]);
