// Key references: a tenant and its KMS key as one value, and its name in Redis.
import { createHash } from 'node:crypto';

declare const BRAND: unique symbol;

/** One tenant and one KMS key: identifies a gate, a data key or a KMS call. Created only by `keyRef`. */
export interface KeyRef {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Full ARN of the KMS key. */
  readonly keyArn: string;
  readonly [BRAND]: true;
}

export const keyRef = (tenant: string, keyArn: string): KeyRef => ({ tenant, keyArn }) as KeyRef;

export const isSameKey = (one: KeyRef, other: KeyRef): boolean =>
  one.tenant === other.tenant && one.keyArn === other.keyArn;

/** The name of a key reference in Redis: the tenant and the start of the SHA-256 of the ARN. */
export const gateId = ({ tenant, keyArn }: KeyRef): string =>
  `${tenant}:${createHash('sha256').update(keyArn).digest('hex').slice(0, 16)}`;
