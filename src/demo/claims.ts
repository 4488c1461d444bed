// Claims of the demo: each with its measured value, and whether it holds.
import { number, type DemoResult } from './stage.ts';

export interface Claim {
  readonly claim: string;
  readonly measured: string;
  /** Undefined if it was not checked. */
  readonly holds: boolean | undefined;
}

/** A probe of a working key generates a data key and decrypts it. */
const MAX_CALLS_PER_PROBE = 2;
const MIN_TYPES = 8;
/** The file that is truncated on purpose. */
const CUT_FILES = 1;
const NOT_CHECKED = 'not checked; to check it: npm install @aws-crypto/client-node';

/** A measurement of something that never happened proves nothing: without documents, parked jobs or probes no claim holds. */
export function claimsOf(result: DemoResult): Claim[] {
  const { documents, failed, kms, officialDecrypt: official, parked, others, dead, uploads } = result;
  const { plaintextFoundInRedis: inRedis, plaintextFoundInS3: inS3 } = result;
  const claims: Claim[] = [];
  const add = (claim: string, holds: boolean | undefined, measured: string): void =>
    void claims.push({ claim, measured, holds });

  const rate = `${result.seconds}s, ${result.documentsPerSecond} per second`;
  const isStored = documents > 0 && failed === 0;
  add('Documents are stored', isStored, `${number(documents - failed)} of ${number(documents)} in ${rate}`);
  const isRead = uploads.dead === CUT_FILES && uploads.stored === uploads.files - CUT_FILES;
  const files = `${uploads.stored} of ${uploads.files}, ${uploads.types} types; ${uploads.dead} unreadable`;
  add('Files are read and stored', isRead && uploads.types >= MIN_TYPES, files);
  add('All text comes back', result.readBack, result.readBack ? 'the text that was sent' : 'other text');
  const record = official === null ? NOT_CHECKED : official ? 'the same record' : 'no or another record';
  add('The AWS Encryption SDK reads it', official ?? undefined, record);
  const found = `Redis: ${inRedis ? 'FOUND' : 'none'}, S3: ${inS3 ? 'FOUND' : 'none'}`;
  add('No plaintext is at rest', !inRedis && !inS3, found);
  const calls = kms.GenerateDataKey + kms.Decrypt;
  add('KMS calls are few', calls < documents, `${kms.GenerateDataKey} GenerateDataKey, ${kms.Decrypt} Decrypt`);
  const released = `${number(parked.jobs)} parked, ${number(parked.releasedPerSecond)} released per second`;
  add('A disabled key parks jobs', parked.jobs > 0 && parked.lost === 0, `${released}, ${parked.lost} lost`);
  const { probes, kmsCallsWhileShut } = parked;
  const areProbes = probes > 0 && kmsCallsWhileShut <= MAX_CALLS_PER_PROBE * probes;
  add('Only probes call KMS', areProbes, `${kmsCallsWhileShut} calls, ${probes} probes`);
  const [before, during] = [others.p50MsBefore, others.p50MsDuring].map(Math.round);
  add('Other tenants continue', others.p50MsDuring > 0, `median ${before}ms before, ${during}ms during the outage`);
  add(
    'Dead letters can be replayed',
    dead.before > 0 && dead.after === 0,
    `${dead.before} before, ${dead.after} after`,
  );
  return claims;
}
