// Port to KMS: the calls that use a key, and those that examine one. The AWS adapter is keys/aws.
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import type { KeyContext, KeyScope } from './data-key.ts';

/** Bytes of a plaintext data key. */
export const KEY_BYTES = 32;

/** Maximum length of a wrapped data key in KMS; about 184 bytes are usual. */
export const MAX_WRAPPED_BYTES = 6144;

export interface GeneratedKey {
  /** 32 bytes in a buffer of their own; the receiver zeroes it. */
  readonly plaintext: Buffer;
  readonly wrapped: Buffer;
}

/**
 * The calls that use a key. Each ends within seconds.
 * All throw SealdexError with `keyArn`. A rejected key: `KEY_*` or `TENANT_KEY_INVALID`, for the platform key `PLATFORM_KEY`.
 * Wrapped bytes of another key or context: `OBJECT_TAMPERED`. No result about the key: `KMS_THROTTLED`, `KMS_FAILED`,
 * `PLATFORM_CREDENTIALS` or `INTERNAL`.
 */
export interface Kms {
  generateDataKey(key: KeyRef, scope: KeyScope): Promise<GeneratedKey>;
  /** The plaintext in a buffer of its own; the receiver zeroes it. */
  decrypt(key: KeyRef, wrapped: Uint8Array, scope: KeyScope): Promise<Buffer>;
  close(): void;
}

/** Wrapped bytes that this key and context do not open: a poisoned entry in Redis, or a forged message. */
export const isWrongWrapping = (error: unknown): boolean =>
  error instanceof SealdexError && error.code === 'OBJECT_TAMPERED';

/** Result of DescribeKey. */
export interface KeyFacts {
  readonly spec: string;
  readonly usage: string;
  readonly state: string;
  readonly origin: string;
  /** Expiry of imported material or deletion of the key: wall clock, milliseconds. */
  readonly expiresAt?: number;
  readonly deletesAt?: number;
  /** Regions of a multi-region key and its replicas. */
  readonly regions?: readonly string[];
}

/**
 * The calls that examine a key. `context` may have another tenant than `key`: a check also makes calls that must be denied. All
 * throw as those of `Kms`, or the signal's reason.
 */
export interface KeyCalls {
  describe(key: KeyRef, signal?: AbortSignal): Promise<KeyFacts>;
  /** The receiver zeroes the plaintext. */
  generateDataKey(key: KeyRef, context: KeyContext, signal?: AbortSignal): Promise<GeneratedKey>;
  /** The receiver zeroes the plaintext. */
  decrypt(key: KeyRef, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  encrypt(key: KeyRef, plaintext: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  /** From this key to itself. */
  reEncrypt(key: KeyRef, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  close(): void;
}
