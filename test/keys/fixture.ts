// Key rings as processes have them, on doubles of the KMS and of the shared keys, with a fake clock.
import { periodAt, type DataKey, type KeyContext } from '../../src/keys/data-key.ts';
import { KeyRing, type KeyRingDeps } from '../../src/keys/key-ring.ts';
import type { Kms } from '../../src/keys/kms.ts';
import type { SharedKeys } from '../../src/keys/shared-keys.ts';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryKms } from '../support/memory-kms.ts';
import { memorySharedKeys } from '../support/memory-shared-keys.ts';

export interface OneRing {
  readonly ring: KeyRing;
  readonly kms: Kms;
  readonly shared: SharedKeys;
  /** The original buffers of KMS' plaintext keys, in the order of the responses. */
  readonly plaintexts: readonly Buffer[];
}

/** Controls of a KMS for tests: the double, or the local KMS behind the adapter. */
interface KmsControl {
  createKey(): string;
  readonly faults: { clear(): void };
}

export interface Fixture<Control extends KmsControl = MemoryKms> extends AsyncDisposable {
  readonly kms: Control;
  readonly platformKeyArn: string;
  /** A ring with separate clients, like another process. */
  open(options?: RingOptions): Promise<OneRing>;
  /** A tenant of this test only, with its own KMS key. */
  tenant(): KeyRef;
}

export type RingOptions = Partial<Pick<KeyRingDeps, 'use' | 'limits' | 'maxKeys' | 'watch' | 'onUse' | 'onWipe'>> & {
  readonly clock?: FakeClock;
  /** Instead of a client of the fixture's KMS. */
  readonly kms?: Kms;
};

export const HOUR_MS = 3_600_000;

/** Use it with `await using`, or dispose of it at the end of the file. */
export async function openFixture(): Promise<Fixture> {
  const kms = new MemoryKms();
  const shared = memorySharedKeys();
  return fixtureOf(kms, kms.platformKeyArn, { connect: () => kms.connect(), shared });
}

/** A fixture around any KMS. */
export function fixtureOf<Control extends KmsControl>(
  kms: Control,
  platformKeyArn: string,
  { connect, shared }: { connect: (use: 'patient' | 'prompt') => Kms; shared: SharedKeys },
): Fixture<Control> {
  const opened = new DisposableStack();
  let tenants = 0;
  return {
    kms,
    platformKeyArn,
    async open({ kms: own, use = 'patient', ...options } = {}) {
      const one = openRing(own ?? connect(use), shared, { use, ...options });
      opened.defer(() => {
        one.ring.close();
        one.kms.close();
      });
      return one;
    },
    tenant() {
      tenants += 1;
      return keyRef(`tenant-${tenants}`, kms.createKey());
    },
    async [Symbol.asyncDispose]() {
      kms.faults.clear();
      opened.dispose();
    },
  };
}

export function openRing(client: Kms, shared: SharedKeys, options: RingOptions): OneRing {
  const { use = 'patient', clock = new FakeClock(), ...more } = options;
  const plaintexts: Buffer[] = [];
  const kms = watched(client, plaintexts);
  return { ring: new KeyRing({ clock, shared, use, ...more, kms }), kms, shared, plaintexts };
}

function watched(kms: Kms, plaintexts: Buffer[]): Kms {
  const seen = (plaintext: Buffer): Buffer => (plaintexts.push(plaintext), plaintext);
  return {
    async generateDataKey(key, scope) {
      const made = await kms.generateDataKey(key, scope);
      seen(made.plaintext);
      return made;
    },
    decrypt: async (key, wrapped, scope) => seen(await kms.decrypt(key, wrapped, scope)),
    close: () => kms.close(),
  };
}

/** The result of work that waits for the clock: advances it in small steps until the work has ended. */
export async function moving<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  await eventually(() => (clock.advance(10), isOver));
  return work;
}

/** The bytes held by the key, which change when it is wiped. */
export const bytesOf = (key: DataKey): Uint8Array => key.use((plaintext) => plaintext);

export const isZeroed = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The context of a tenant's documents in the first period of a FakeClock. */
export const contextOf = (tenant: string): KeyContext => ({
  tenant,
  period: periodAt(tenant, new FakeClock().now()),
  purpose: 'documents',
});
