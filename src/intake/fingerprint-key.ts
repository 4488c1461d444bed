// Fingerprint key: the installation's secret for comparing two requests with one idempotency key. Fingerprints require the
// secret, so a reader of Redis cannot confirm guessed content.
import { createHash, createHmac, type Hmac } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { keyRef } from '../runtime/key-ref.ts';
import { periodAt } from '../keys/data-key.ts';
import type { Kms } from '../keys/kms.ts';
import {
  readFingerprintKey,
  writeFingerprintKey,
  type StoredSecret,
  type WrappedSecret,
} from '../store/fingerprint-key.ts';
import type { Store } from '../store/store.ts';

export interface FingerprintKeyDeps {
  readonly kms: Kms;
  readonly store: Store;
  readonly clock: Clock;
  readonly config: Pick<Config, 'queue' | 'platformKeyArn' | 'platformFormerKeyArns'>;
}

/** A fingerprint being computed. */
export interface FingerprintHash {
  update(bytes: Uint8Array): void;
  /** Returns the start of the secret's id, and the HMAC in base64url: 52 characters. Call it once. */
  digest(): string;
}

interface Secret {
  readonly id: string;
  readonly bytes: Buffer;
}

/** Used as the tenant in the encryption context: the secret belongs to none. */
const NO_TENANT = '-';

/** More than one round only if another process writes the object concurrently. */
const ROUNDS = 5;

const ID_CHARS = 8;

/** False for fingerprints under two secrets, which cannot be compared. */
export const isOtherRequest = (fingerprint: string, other: string): boolean =>
  fingerprint !== other && fingerprint.slice(0, ID_CHARS) === other.slice(0, ID_CHARS);

const closed = (): SealdexError => new SealdexError('KMS_FAILED', 'The producer is closed.', { reason: 'Closed' });

const idOf = (wrapped: Buffer): string => createHash('sha256').update(wrapped).digest('hex').slice(0, ID_CHARS);

const hashOf = (id: string, hmac: Hmac): FingerprintHash => ({
  update: (bytes) => void hmac.update(bytes),
  digest: () => `${id}.${hmac.digest('base64url')}`,
});

/** Reads the secret at first use, with one KMS call, and keeps it in memory until `close()`. */
export class FingerprintKey {
  readonly #deps: FingerprintKeyDeps;
  #secret: Promise<Secret> | undefined;
  #isClosed = false;

  constructor(deps: FingerprintKeyDeps) {
    this.#deps = deps;
  }

  /**
   * Starts a fingerprint.
   * @throws SealdexError of S3 and KMS if the secret cannot be read or created; the next call tries again
   */
  async begin(): Promise<FingerprintHash> {
    const { id, bytes } = await this.#open();
    if (this.#isClosed) throw closed();
    return hashOf(id, createHmac('sha256', bytes));
  }

  /** Erases the secret from memory. */
  close(): void {
    this.#isClosed = true;
    this.#secret?.then(
      ({ bytes }) => bytes.fill(0),
      () => {},
    );
  }

  async #open(): Promise<Secret> {
    if (this.#isClosed) throw closed();
    const opening = (this.#secret ??= this.#readOrCreate());
    try {
      return await opening;
    } catch (error) {
      if (this.#secret === opening) this.#secret = undefined;
      throw error;
    }
  }

  async #readOrCreate(): Promise<Secret> {
    const { store, config } = this.#deps;
    for (let round = 0; round < ROUNDS; round++) {
      const stored = await readFingerprintKey(store, config.queue);
      const secret = await this.#unwrap(stored);
      if (secret) return secret;
      const { created, wrapped } = await this.#create();
      const { kind } = await writeFingerprintKey(store, config.queue, wrapped, stored?.etag).catch((error: unknown) => {
        created.bytes.fill(0);
        throw error;
      });
      if (kind === 'written') return created;
      created.bytes.fill(0);
    }
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'FingerprintKeyContended' });
  }

  /** Undefined if this installation cannot unwrap it. The secret is then replaced, since no data is encrypted under it. */
  async #unwrap(stored: StoredSecret | undefined): Promise<Secret | undefined> {
    const { kms, config } = this.#deps;
    if (!stored?.secret || !platformArns(config).has(stored.secret.keyArn)) return undefined;
    const { keyArn, period } = stored.secret;
    const wrapped = Buffer.from(stored.secret.wrapped, 'base64');
    try {
      const bytes = await kms.decrypt(keyRef(NO_TENANT, keyArn), wrapped, { period, purpose: 'intake' });
      return { id: idOf(wrapped), bytes };
    } catch (error) {
      if (!(error instanceof SealdexError)) throw error;
      const isFormerKeyGone = error.code === 'PLATFORM_KEY' && keyArn !== config.platformKeyArn;
      if (isFormerKeyGone || error.code === 'OBJECT_TAMPERED') return undefined;
      throw error;
    }
  }

  async #create(): Promise<{ created: Secret; wrapped: WrappedSecret }> {
    const { kms, clock, config } = this.#deps;
    const keyArn = config.platformKeyArn;
    const period = periodAt(NO_TENANT, clock.now());
    const { plaintext, wrapped } = await kms.generateDataKey(keyRef(NO_TENANT, keyArn), { period, purpose: 'intake' });
    return {
      created: { id: idOf(wrapped), bytes: plaintext },
      wrapped: { keyArn, period, wrapped: wrapped.toString('base64') },
    };
  }
}
