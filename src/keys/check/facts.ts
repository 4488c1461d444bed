// Checks the result of DescribeKey. It does not show permissions, which are tested by calls.
import { ORIGINS_TO_ALLOW, type OriginToAllow } from '../../runtime/names.ts';
import type { KeyFacts } from '../kms.ts';
import { failed, passed, warning, type CheckStep } from './step.ts';

const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const specStep = ({ spec }: KeyFacts): CheckStep =>
  spec === 'SYMMETRIC_DEFAULT'
    ? passed('key spec', 'Symmetric (SYMMETRIC_DEFAULT).')
    : failed(
        'key spec',
        `The key spec is ${spec}.`,
        'Ask the tenant for a symmetric encryption key (KeySpec SYMMETRIC_DEFAULT).',
      );

const usageStep = ({ usage }: KeyFacts): CheckStep =>
  usage === 'ENCRYPT_DECRYPT'
    ? passed('key usage', 'Encryption and decryption (ENCRYPT_DECRYPT).')
    : failed('key usage', `The key usage is ${usage}.`, 'Ask the tenant for a key with KeyUsage ENCRYPT_DECRYPT.');

export const factSteps = (facts: KeyFacts, region: string, allowed?: OriginToAllow): CheckStep[] => [
  specStep(facts),
  usageStep(facts),
  stateStep(facts),
  regionsStep(facts, region),
  originStep(facts, allowed),
];

const WAYS: Readonly<Record<string, string>> = Object.freeze({
  Disabled: 'Ask the tenant to enable the key.',
  PendingDeletion:
    'Ask the tenant to cancel the deletion and then enable the key. Cancelling alone leaves it disabled.',
  PendingReplicaDeletion: 'Ask the tenant to cancel the deletion and then enable the key, or for another key.',
  PendingImport: 'Ask the tenant to import the key material.',
  Unavailable: 'Ask the tenant to reconnect the custom key store.',
  Creating: 'Wait until the replica is available and check again.',
  Updating: 'Wait until KMS has updated the key and check again.',
});

function stateStep({ state, deletesAt }: KeyFacts): CheckStep {
  const way = WAYS[state] ?? 'See the KMS documentation for this key state.';
  if (state !== 'Enabled') {
    const until = deletesAt === undefined ? '' : ` and will be deleted on ${date(deletesAt)}`;
    return failed('key state', `The key is ${state}${until}.`, way);
  }
  if (deletesAt === undefined) return passed('key state', 'Enabled.');
  return warning(
    'key state',
    `The key is enabled but will be deleted on ${date(deletesAt)}.`,
    'Ask the tenant to cancel the deletion.',
  );
}

function regionsStep({ regions }: KeyFacts, region: string): CheckStep {
  if (regions === undefined) return passed('regions', 'Single-region key in the region of this installation.');
  if (regions.includes(region)) return passed('regions', `Multi-region key: ${regions.join(', ')}.`);
  return failed(
    'regions',
    `The multi-region key has no replica in ${region}: ${regions.join(', ')}.`,
    `Ask the tenant to create one in ${region}.`,
  );
}

const isToAllow = (origin: string): origin is OriginToAllow => (ORIGINS_TO_ALLOW as readonly string[]).includes(origin);

function originStep({ origin, expiresAt }: KeyFacts, allowed: OriginToAllow | undefined): CheckStep {
  if (origin === 'AWS_KMS') return passed('origin', 'The key material was created by KMS (AWS_KMS).');
  if (origin === 'AWS_CLOUDHSM')
    return warning(
      'origin',
      'The key is in a CloudHSM key store (AWS_CLOUDHSM). Jobs wait whenever the store is disconnected.',
      'Ask the tenant to keep it connected.',
    );
  if (!isToAllow(origin))
    return failed('origin', `The origin of the key is ${origin}.`, 'Ask the tenant for a key with origin AWS_KMS.');
  const observed = outsideKms(origin, expiresAt);
  if (origin !== allowed)
    return failed(
      'origin',
      observed,
      `Ask the tenant for a key with origin AWS_KMS. To accept this one: --allow-origin ${origin}`,
    );
  const care =
    origin === 'EXTERNAL'
      ? 'keep a copy of the material and to import it again before it expires'
      : 'keep the key store connected';
  return warning('origin', observed, `Allowed by --allow-origin. Ask the tenant to ${care}.`);
}

function outsideKms(origin: OriginToAllow, expiresAt: number | undefined): string {
  if (origin === 'EXTERNAL_KEY_STORE')
    return 'The key is in an external key store (EXTERNAL_KEY_STORE). Jobs wait whenever the store is disconnected.';
  const until = expiresAt === undefined ? 'It can be deleted at any time.' : `It expires on ${date(expiresAt)}.`;
  return `The key material is imported (EXTERNAL). ${until}`;
}
