// What the demo tells, in words for somebody who sees the project for the first time. Numbers come in, lines go out.
// Decides nothing, and is never given a text of the documents.
import { systemClock } from '../runtime/clock.ts';
import type { DemoTenant } from './cast.ts';
import type { Sending } from './indexing.ts';
import type { Finding, Specimen } from './judge.ts';
import type { SearchResult } from './search.ts';

/** Where the story goes. `progress` comes at most 20 times a second, and once at the end of each label. */
export interface DemoScreen {
  say(line: string): void;
  progress(label: string, done: number, total: number): void;
  /** How wide a line may be; unknown where it is no terminal. */
  readonly columns?: number | undefined;
}

const PROGRESS_EVERY_MS = 50;

export function progressOf(screen: DemoScreen, label: string): (done: number, total: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = systemClock.monotonic();
    if (done < total && now - last < PROGRESS_EVERY_MS) return;
    last = now;
    screen.progress(label, done, total);
  };
}

type Say = Pick<DemoScreen, 'say'>;

export function opening(screen: Say): void {
  screen.say(
    'Starting a Redis, an S3 and a KMS of our own on 127.0.0.1. No AWS account is used, and nothing stays behind.',
  );
}

export function cast(screen: Say, tenants: readonly DemoTenant[], sendings: readonly Sending[], bytes: number): void {
  const own = tenants.filter(({ hasOwnKey }) => hasOwnKey).map(({ tenant }) => tenant);
  const others = tenants.filter(({ hasOwnKey }) => !hasOwnKey).map(({ tenant }) => tenant);
  const core = sendings.filter(({ document }) => document.type === 'core').length;
  screen.say(
    `Three tenants: ${own.join(' and ')} have KMS keys of their own, ${others.join(' and ')} is served by the platform key.`,
  );
  screen.say(
    `Their documents: ${sendings.length} README, CHANGELOG, LICENSE and docs pages of the packages in node_modules, ` +
      `${megabytes(bytes)}; ${sendings.length - core} in sections by their headings, ${core} in paragraphs.`,
  );
}

export function waiting(screen: Say, jobs: number, seconds: number): void {
  screen.say(`${jobs} jobs are queued after ${seconds.toFixed(1)} s, and no worker runs yet.`);
  screen.say(
    'Each document left the producer encrypted; small ones wait inside their job in Redis, larger ones in S3.',
  );
}

export function searched(screen: Say, result: SearchResult, words: number, when: string): void {
  const { redisKeys, objects, bytes, wordsInRedis, wordsInS3, controls } = result;
  screen.say(
    `Searched everything at rest ${when}: ${number(redisKeys)} Redis keys and ${number(objects)} S3 objects ` +
      `(${megabytes(bytes)}), base64 decoded, for ${number(words)} different words of the documents and files.`,
  );
  screen.say(
    wordsInRedis + wordsInS3 === 0
      ? `  Found none of them, and each of the ${controls} words that were planted to prove that the search works.`
      : `  FOUND ${number(wordsInRedis)} of them in Redis and ${number(wordsInS3)} in S3: this must not be.`,
  );
}

export function worked(screen: Say, documents: number, failed: number, seconds: number): void {
  const stored = documents - failed;
  screen.say(
    `One worker took the jobs, decrypted and cut the documents into parts, and stored ${stored} of them, ` +
      `encrypted again, in ${seconds.toFixed(1)} s.`,
  );
  if (failed > 0) screen.say(`  ${failed} FAILED: this must not be.`);
}

export function judged(screen: Say, { tenant, id }: Specimen, finding: Finding): void {
  const { object, parts, readBack, officialDecrypt, recordBytes, faults } = finding;
  screen.say(`One of them closely: ${id}, which belongs to ${tenant}.`);
  screen.say(
    readBack
      ? `  Read back: ${number(parts)} parts, together the text of the file.`
      : `  Read back: NOT the text of the file.`,
  );
  screen.say(
    `  In S3 it is ${object.key.slice(0, object.key.lastIndexOf('/') + 13)}..., ${number(object.bytes)} bytes that begin with`,
  );
  screen.say(
    `  ${object.start.replaceAll(/../g, '$& ').trim()}: version 2 of the AWS Encryption SDK's format, then ciphertext.`,
  );
  screen.say(
    officialDecrypt
      ? `  Amazon's own AWS Encryption SDK opened it with ${tenant}'s KMS key: the same record, ${number(recordBytes)} bytes.`
      : `  Amazon's own AWS Encryption SDK did NOT open it with ${tenant}'s KMS key to the same record.`,
  );
  if (faults.length > 0) screen.say(`  What went wrong: ${faults.join(', ')}.`);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const number = (value: number): string => value.toLocaleString('en-US');
