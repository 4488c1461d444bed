// Bench of the sealdex envelope against the AWS Encryption SDK with its caching materials manager, with one fixed data key and the
// same suite, in alternating rounds. Run: node bench/envelope.ts. Without KMS calls.
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

const response = async () => ({ KeyId: ARN, Plaintext: Uint8Array.from(dataKey), CiphertextBlob: wrapped });
const keyring = new KmsKeyringNode({
  clientProvider: () => ({ generateDataKey: response, encrypt: response, decrypt: response }),
  generatorKeyId: ARN,
});
// The limits of messages and bytes per data key keep their defaults, 2^32 and 2^53 - 1, which no round reaches.
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
  readonly sealdex: Work;
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
  const sealdex = encryptMessage(key, plaintext);
  const theirs = await officialEncrypt(plaintext);
  const opened = await official.decrypt(cached, sealdex);
  const read = await decryptMessage(theirs, () => key);
  if (!opened.plaintext.equals(plaintext) || !read.equals(plaintext)) throw new Error('The two do not agree.');
  const decryptTheirs: Work = () => official.decrypt(cached, theirs);
  const small = encryptMessage(key, plaintext, { frameBytes: OFFICIAL_FRAME_BYTES });
  const rows = [
    {
      name: `encrypt ${name}`,
      bytes,
      sealdex: () => encryptMessage(key, plaintext),
      theirs: () => officialEncrypt(plaintext),
    },
    { name: `decrypt ${name}`, bytes, sealdex: () => decryptMessage(sealdex, () => key), theirs: decryptTheirs },
    {
      name: `encrypt ${name}, stream`,
      bytes,
      sealdex: () => drain(encryptStream(key, once(plaintext))),
      theirs: () => officialEncrypt(plaintext),
    },
    {
      name: `decrypt ${name}, stream`,
      bytes,
      sealdex: () => drain(decryptStream(once(sealdex), () => key)),
      theirs: decryptTheirs,
    },
  ];
  if (bytes <= OFFICIAL_FRAME_BYTES) return rows;
  return [
    ...rows,
    {
      name: `encrypt ${name}, 4 KiB frames`,
      bytes,
      sealdex: () => encryptMessage(key, plaintext, { frameBytes: OFFICIAL_FRAME_BYTES }),
      theirs: () => officialEncrypt(plaintext),
    },
    {
      name: `decrypt ${name}, 4 KiB frames`,
      bytes,
      sealdex: () => decryptMessage(small, () => key),
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
  await time(row.sealdex, ROUND_MS);
  await time(row.theirs, ROUND_MS);
  const sealdex: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    sealdex.push(await time(row.sealdex, ROUND_MS));
    theirs.push(await time(row.theirs, ROUND_MS));
  }
  const ratios = sorted(theirs.map((value, round) => value / (sealdex[round] ?? Number.NaN)));
  const rate = (row.bytes / median(sealdex)) * (1_000_000 / MIB);
  return [
    row.name,
    median(sealdex).toFixed(1),
    median(theirs).toFixed(1),
    `${median(ratios).toFixed(1)}x`,
    `${ratios[0]?.toFixed(1)} - ${ratios.at(-1)?.toFixed(1)}`,
    rate.toFixed(0),
  ];
}

const heading = ['', 'sealdex us', 'official us', 'ratio', 'spread', 'sealdex MiB/s'];
const table = [heading];
for (const row of [...(await rowsOf('2 KiB', 2 * KIB)), ...(await rowsOf('1 MiB', MIB))])
  table.push(await measure(row));
const widths = heading.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
const aligned = (line: readonly string[]): string =>
  widths.map((width, column) => (line[column] ?? '')[column === 0 ? 'padEnd' : 'padStart'](width)).join('  ');
console.log(`Node ${process.version}; median of ${ROUNDS} alternating rounds of ${ROUND_MS} ms`);
console.log(`official: @aws-crypto/client-node, caching materials manager, whole buffer, 4 KiB frames (its default)\n`);
for (const line of table) console.log(aligned(line));
