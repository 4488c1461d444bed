// Stage of the demo: the dependencies of each step, and the combined result.
import type { LocalAws } from '@sealdex/local-aws';
import type { Redis } from 'ioredis';
import type { Operator, Producer, Reader, Settings } from '../index.ts';
import type { Bucket } from './bucket.ts';

/** The local services, and the settings that point to them. */
export interface DemoServices extends Pick<LocalAws, 'redis' | 's3' | 'kms'> {
  readonly settings: Settings;
}

/** Where the demo prints. */
export interface DemoScreen {
  say(line: string): void;
  /** May be called often. */
  progress(label: string, done: number, total: number): void;
}

export interface DemoTenant {
  readonly tenant: string;
  readonly plan: 'free' | 'pro' | 'enterprise';
  /** The tenant's own KMS key; without one the platform key applies. */
  readonly kmsKeyArn?: string;
  readonly whenKeyShut?: 'park';
}

export interface Stage {
  readonly services: DemoServices;
  readonly redis: Redis;
  readonly bucket: Bucket;
  readonly operator: Operator;
  readonly producer: Producer;
  readonly reader: Reader;
  readonly tenants: readonly DemoTenant[];
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
}

/** What `--json` prints. */
export interface DemoResult {
  readonly documents: number;
  /** Documents that are not stored. */
  readonly failed: number;
  /** Time for enqueueing and indexing the documents. */
  readonly seconds: number;
  readonly documentsPerSecond: number;
  /** KMS calls for enqueueing and indexing. */
  readonly kms: { readonly GenerateDataKey: number; readonly Decrypt: number };
  /** Whether every stored document came back with the text that was sent. */
  readonly readBack: boolean;
  /** Whether the AWS Encryption SDK decrypted the same record; null if it is not installed. */
  readonly officialDecrypt: boolean | null;
  readonly plaintextFoundInRedis: boolean;
  readonly plaintextFoundInS3: boolean;
  readonly parked: {
    /** The most jobs that were parked at the same time. */
    readonly jobs: number;
    /** Failed probes of the disabled key. */
    readonly probes: number;
    /** Cryptographic calls for the key, except one per process, which shut the gate. */
    readonly kmsCallsWhileShut: number;
    readonly releasedPerSecond: number;
    /** Documents of all tenants that were accepted and are not stored. */
    readonly lost: number;
  };
  /** Median milliseconds from enqueued to stored, for tenants whose keys work. */
  readonly others: { readonly p50MsBefore: number; readonly p50MsDuring: number };
  /** Dead letters for missing content, before and after their replay. */
  readonly dead: { readonly before: number; readonly after: number };
  /** Uploaded files; content types of those whose text came back, and their number; dead letters. */
  readonly uploads: { readonly files: number; readonly types: number; readonly stored: number; readonly dead: number };
}

export const number = (value: number): string => value.toLocaleString('en-US');
