// Gate actions: a table of parking codes with the side that acts and its commands, and the lookup of a gate's row.
import type { KeyRef } from '../runtime/key-ref.ts';
import type { Code } from '../runtime/errors.ts';

/** The side whose action opens a gate; `none` if no action is needed or possible. */
export type WhoActs = 'tenant' | 'operator' | 'none';

export interface GateAction {
  /** The side whose action opens the gate; `none` if no action is needed or possible. */
  readonly whoActs: WhoActs;
  /** One sentence in addition to the commands. */
  readonly explanation: string;
  /** Shell commands in their order. Words in capitals are placeholders. */
  readonly commands: readonly string[];
}

/** The codes that a gate may have. */
type GateCode =
  | 'KEY_DISABLED'
  | 'KEY_PENDING_DELETION'
  | 'KEY_PENDING_IMPORT'
  | 'KEY_UNAVAILABLE'
  | 'KEY_DENIED'
  | 'KEY_NOT_FOUND'
  | 'KEY_BLOCKED'
  | 'TENANT_PAUSED'
  | 'KEY_DESTROYED';

const row = (whoActs: WhoActs, explanation: string, ...commands: string[]): GateAction =>
  Object.freeze({ whoActs, explanation, commands: Object.freeze(commands) });

/** `{key}`, `{region}` and `{tenant}` are replaced by those of the gate. */
export const GATE_ACTIONS: Readonly<Record<GateCode, GateAction>> = Object.freeze({
  KEY_DISABLED: row(
    'tenant',
    'Jobs resume automatically after the key is enabled.',
    'aws kms enable-key --key-id {key} --region {region}',
  ),
  KEY_PENDING_DELETION: row(
    'tenant',
    'Cancelling the deletion leaves the key disabled. Run both commands.',
    'aws kms cancel-key-deletion --key-id {key} --region {region}',
    'aws kms enable-key --key-id {key} --region {region}',
  ),
  KEY_PENDING_IMPORT: row(
    'tenant',
    'Import the same key material again, wrapped with the import key.',
    'aws kms get-parameters-for-import --key-id {key} --region {region} --wrapping-algorithm RSAES_OAEP_SHA_256 --wrapping-key-spec RSA_4096',
    'aws kms import-key-material --key-id {key} --region {region} --encrypted-key-material fileb://MATERIAL --import-token fileb://TOKEN --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE',
  ),
  KEY_UNAVAILABLE: row(
    'tenant',
    'Reconnect the custom key store.',
    'aws kms describe-key --key-id {key} --region {region} --query KeyMetadata.CustomKeyStoreId',
    'aws kms connect-custom-key-store --custom-key-store-id STORE --region {region}',
  ),
  KEY_DENIED: row(
    'tenant',
    'The first two commands find what is missing and print the statements for the key policy. The tenant adds them with the other two. A deleted key in another account returns the same error.',
    'sealdex keys check {key} --tenant {tenant}',
    'sealdex keys policy --tenant {tenant} --principal ROLE_ARN',
    'aws kms get-key-policy --key-id {key} --region {region} --policy-name default --query Policy --output text > policy.json',
    'aws kms put-key-policy --key-id {key} --region {region} --policy-name default --policy file://policy.json',
  ),
  KEY_NOT_FOUND: row(
    'tenant',
    'The ARN or region is wrong, or the key was just created or deleted. After 24h the key is treated as deleted.',
    'aws kms describe-key --key-id {key} --region {region}',
  ),
  KEY_BLOCKED: row(
    'operator',
    'Stopped by an operator. Probes do not open this gate.',
    'sealdex keys unblock {key} --tenant {tenant}',
  ),
  TENANT_PAUSED: row(
    'operator',
    'Stopped by an operator. Probes do not open this gate.',
    'sealdex tenants resume {tenant}',
  ),
  KEY_DESTROYED: row('none', 'The key was permanently deleted and its data is lost. Its jobs become dead letters.'),
});

/** For a denial by a policy on the operator's side: the tenant cannot fix it. */
export const DENIED_BY_OPERATOR: GateAction = row(
  'operator',
  "Update the role's IAM policy to match sealdex policy (worker, producer, reader or operator). The tenant is not the cause.",
  'sealdex policy worker > policy.json',
  'aws iam put-role-policy --role-name ROLE --policy-name sealdex --policy-document file://policy.json',
  'sealdex keys probe {key} --tenant {tenant}',
);

const RELEASING: GateAction = row('none', 'Releasing the parked jobs.');

/** For a code of another version. */
const UNKNOWN: GateAction = row('operator', 'See the code in docs/codes.md of the newest running version.');

interface GateOfAction extends KeyRef {
  readonly state: string;
  readonly code: Code;
  readonly deniedBy?: 'operator' | 'tenant';
}

/** Returns the gate's row, with its commands filled in. */
export function remedyOf({ tenant, keyArn, state, code, deniedBy }: GateOfAction): GateAction {
  const { whoActs, explanation, commands } = rowOf(state, code, deniedBy);
  const facts: Record<string, string> = { key: keyArn, region: keyArn.split(':')[3] ?? '', tenant };
  const filled = commands.map((command) => command.replaceAll(/\{(key|region|tenant)\}/g, (_, name) => facts[name]!));
  return { whoActs, explanation, commands: filled };
}

function rowOf(state: string, code: Code, deniedBy: GateOfAction['deniedBy']): GateAction {
  if (state === 'draining') return RELEASING;
  if (code === 'KEY_DENIED' && deniedBy === 'operator') return DENIED_BY_OPERATOR;
  return Object.hasOwn(GATE_ACTIONS, code) ? GATE_ACTIONS[code as GateCode] : UNKNOWN;
}
