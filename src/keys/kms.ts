// The port of the KMS: the calls that use a key, and those that examine one.
// The adapter for AWS is keys/aws; no other file knows how a call is made.
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import type { KeyContext, KeyScope } from './data-key.ts';

/** Bytes of a plaintext data key. */
export const KEY_BYTES = 32;

/** The longest wrapped data key that a KMS takes; about 184 bytes are usual. */
export const MAX_WRAPPED_BYTES = 6144;

export interface GeneratedKey {
  /** 32 bytes in a buffer of their own; the receiver wipes it. */
  readonly plaintext: Buffer;
  readonly wrapped: Buffer;
}

/**
 * The calls that use a key. Each ends within seconds.
 * All throw SealdexError with `keyArn` for a key that is refused: `KEY_*` or `TENANT_KEY_INVALID`, for the platform key
 * `PLATFORM_KEY`; `OBJECT_TAMPERED` for wrapped bytes of another key or context; `KMS_THROTTLED`, `KMS_FAILED`,
 * `PLATFORM_CREDENTIALS` or `INTERNAL` for what says nothing about the key.
 */
export interface Kms {
  generateDataKey(key: KeyRef, scope: KeyScope): Promise<GeneratedKey>;
  /** The plaintext in a buffer of its own; the receiver wipes it. */
  decrypt(key: KeyRef, wrapped: Uint8Array, scope: KeyScope): Promise<Buffer>;
  close(): void;
}

/** Wrapped bytes that this key and context do not open: from Redis a poisoned entry, in a message a forgery. */
export const isWrongWrapping = (error: unknown): boolean =>
  error instanceof SealdexError && error.code === 'OBJECT_TAMPERED';

/** What the KMS tells of a key. */
export interface KeyFacts {
  readonly spec: string;
  readonly usage: string;
  readonly state: string;
  readonly origin: string;
  /** When imported material or the key itself is gone: wall clock, milliseconds. */
  readonly expiresAt?: number;
  readonly deletesAt?: number;
  /** Of a multi-region key, where it and its replicas are. */
  readonly regions?: readonly string[];
}

/**
 * The calls that examine one key, one at a time. The tenant of `context` may be another than that of `key`: a check also
 * makes calls that must be denied. All throw as those of `Kms`, or the signal's reason.
 */
export interface KeyCalls {
  describe(key: KeyRef, signal?: AbortSignal): Promise<KeyFacts>;
  /** The receiver wipes the plaintext. */
  generateDataKey(key: KeyRef, context: KeyContext, signal?: AbortSignal): Promise<GeneratedKey>;
  /** The receiver wipes it. */
  decrypt(key: KeyRef, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  encrypt(key: KeyRef, plaintext: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  /** From this key to itself. */
  reEncrypt(key: KeyRef, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  close(): void;
}
