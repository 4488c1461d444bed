// Our envelope against the official AWS Encryption SDK with its caching materials manager, both under one fixed data key
// and the same suite, in alternating rounds of one run: `node bench/envelope.ts`. No KMS in either: only bytes.
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  KmsKeyringNode,
  NodeCachingMaterialsManager,
  buildClient,
  getLocalCryptographicMaterialsCache,
} from '@aws-crypto/client-node';
import { randomBytes } from 'node:crypto';
import { decryptMessage, decryptStream, encryptMessage, encryptStream } from '../src/envelope/message.ts';
import type { EnvelopeKey } from '../src/envelope/message.ts';

const ARN = 'arn:aws:kms:us-west-2:111122223333:key/mrk-00000000000000000000000000000001';
const CONTEXT = { tenant: 't-42', period: '2026-11-23T17:41Z', purpose: 'documents' };
const OFFICIAL_FRAME_BYTES = 4096;
const ROUNDS = 11;
const ROUND_MS = 150;
const KIB = 1024;
const MIB = 1024 * KIB;

const dataKey = randomBytes(32);
const wrapped = randomBytes(184);
const key: EnvelopeKey = { arn: ARN, wrapped, context: CONTEXT, use: (fn) => fn(dataKey) };

const answer = async () => ({ KeyId: ARN, Plaintext: Uint8Array.from(dataKey), CiphertextBlob: wrapped });
const keyring = new KmsKeyringNode({
  clientProvider: () => ({ generateDataKey: answer, encrypt: answer, decrypt: answer }),
  generatorKeyId: ARN,
});
// Its limits of messages and bytes per data key stay at their defaults, 2^32 and 2^53 - 1: no round meets them.
const cached = new NodeCachingMaterialsManager({
  backingMaterials: keyring,
  cache: getLocalCryptographicMaterialsCache(100),
  maxAge: 3_600_000,
});
const official = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const officialEncrypt = async (plaintext: Buffer): Promise<Buffer> => {
  const { result } = await official.encrypt(cached, plaintext, {
    suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    encryptionContext: CONTEXT,
    plaintextLength: plaintext.length,
  });
  return result;
};

type Work = () => unknown;

interface Row {
  readonly name: string;
  readonly bytes: number;
  readonly ours: Work;
  readonly theirs: Work;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let chunks = 0;
  for await (const _ of stream) chunks += 1;
  return chunks;
}

async function rowsOf(name: string, bytes: number): Promise<readonly Row[]> {
  const plaintext = randomBytes(bytes);
  const ours = encryptMessage(key, plaintext);
  const theirs = await officialEncrypt(plaintext);
  const opened = await official.decrypt(cached, ours);
  const read = await decryptMessage(theirs, () => key);
  if (!opened.plaintext.equals(plaintext) || !read.equals(plaintext)) throw new Error('The two do not agree.');
  const decryptTheirs: Work = () => official.decrypt(cached, theirs);
  const small = encryptMessage(key, plaintext, { frameBytes: OFFICIAL_FRAME_BYTES });
  const rows = [
    {
      name: `encrypt ${name}`,
      bytes,
      ours: () => encryptMessage(key, plaintext),
      theirs: () => officialEncrypt(plaintext),
    },
    { name: `decrypt ${name}`, bytes, ours: () => decryptMessage(ours, () => key), theirs: decryptTheirs },
    {
      name: `encrypt ${name}, stream`,
      bytes,
      ours: () => drain(encryptStream(key, once(plaintext))),
      theirs: () => officialEncrypt(plaintext),
    },
    {
      name: `decrypt ${name}, stream`,
      bytes,
      ours: () => drain(decryptStream(once(ours), () => key)),
      theirs: decryptTheirs,
    },
  ];
  if (bytes <= OFFICIAL_FRAME_BYTES) return rows;
  return [
    ...rows,
    {
      name: `encrypt ${name}, 4 KiB frames`,
      bytes,
      ours: () => encryptMessage(key, plaintext, { frameBytes: OFFICIAL_FRAME_BYTES }),
      theirs: () => officialEncrypt(plaintext),
    },
    {
      name: `decrypt ${name}, 4 KiB frames`,
      bytes,
      ours: () => decryptMessage(small, () => key),
      theirs: decryptTheirs,
    },
  ];
}

/** Microseconds for one call, over at least `ms`. */
async function time(work: Work, ms: number): Promise<number> {
  const start = performance.now();
  let calls = 0;
  let took = 0;
  while (took < ms) {
    await work();
    calls += 1;
    took = performance.now() - start;
  }
  return (took * 1000) / calls;
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[values.length >> 1] ?? Number.NaN;

async function measure(row: Row): Promise<string[]> {
  await time(row.ours, ROUND_MS);
  await time(row.theirs, ROUND_MS);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await time(row.ours, ROUND_MS));
    theirs.push(await time(row.theirs, ROUND_MS));
  }
  const ratios = sorted(theirs.map((value, round) => value / (ours[round] ?? Number.NaN)));
  const rate = (row.bytes / median(ours)) * (1_000_000 / MIB);
  return [
    row.name,
    median(ours).toFixed(1),
    median(theirs).toFixed(1),
    `${median(ratios).toFixed(1)}x`,
    `${ratios[0]?.toFixed(1)} - ${ratios.at(-1)?.toFixed(1)}`,
    rate.toFixed(0),
  ];
}

const heading = ['', 'ours us', 'official us', 'ratio', 'spread', 'ours MiB/s'];
const table = [heading];
for (const row of [...(await rowsOf('2 KiB', 2 * KIB)), ...(await rowsOf('1 MiB', MIB))])
  table.push(await measure(row));
const widths = heading.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
const aligned = (line: readonly string[]): string =>
  widths.map((width, column) => (line[column] ?? '')[column === 0 ? 'padEnd' : 'padStart'](width)).join('  ');
console.log(`Node ${process.version}; median of ${ROUNDS} alternating rounds of ${ROUND_MS} ms`);
console.log(`official: @aws-crypto/client-node, caching materials manager, whole buffer, 4 KiB frames (its default)\n`);
for (const line of table) console.log(aligned(line));
