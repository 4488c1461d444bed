// Local KMS server: AWS JSON 1.1 over HTTP for @aws-sdk/client-kms, with faults and call counts.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { callerOf } from '../iam/caller.ts';
import { PermissionBook, type Permissions } from '../iam/permissions.ts';
import { decrypt, encrypt, generateDataKey, generateDataKeyWithoutPlaintext, reEncrypt } from './actions-crypto.ts';
import * as keyActions from './actions-keys.ts';
import { reachableAt } from '../ports.ts';
import { respondSts, isSts } from '../sts.ts';
import { callOf } from './calls.ts';
import { CallCounter, type KmsCounts } from './counts.ts';
import { KmsError } from './errors.ts';
import { errorOf, kmsFaultBook, type KmsFaults } from './fault-injection.ts';
import type { Input } from './input.ts';
import { type Key, type KeyOptions, type KeyState, Keys } from './keys.ts';
import { checkPolicy, type Requester } from './policy.ts';
import { readKeys, writeKeys } from './state-file.ts';
import { Trail, type TrailRecord } from './trail.ts';

export interface KmsServer {
  readonly endpoint: string;
  readonly region: string;
  /** Returns the ARN of the new key. */
  createKey(options?: KeyOptions): string;
  keys(): readonly Readonly<Pick<Key, 'arn' | 'state' | 'description'>>[];
  state(arn: string): KeyState;
  enable(arn: string): void;
  disable(arn: string): void;
  /** `answers`: the error of calls with the key; AWS documents both. KMSInvalidStateException by default. */
  scheduleDeletion(arn: string, options?: { days?: number; answers?: Key['pendingDeletionAnswers'] }): void;
  cancelDeletion(arn: string): void;
  /** Sets any state, from any state. */
  setState(arn: string, state: KeyState): void;
  /** Sets a key policy, as JSON or as a value; undefined is the default policy. @throws KmsError for an invalid policy */
  setPolicy(arn: string, policy: string | object | undefined): void;
  /** IAM policies of callers, which are identified by the access key id of a request: see callerOf(). */
  readonly permissions: Permissions;
  /** Deletes the key permanently, as at the end of its scheduled deletion. */
  forget(arn: string): void;
  readonly faults: KmsFaults;
  readonly counts: KmsCounts;
  /** CloudTrail events of an account, by default that of the keys; at least the newest 20,000. */
  trail(account?: string): readonly TrailRecord[];
  stop(): Promise<void>;
}

export interface KmsOptions {
  readonly port?: number;
  readonly host?: string;
  /** File for the keys; in memory by default. */
  readonly stateFile?: string;
  /** File to which CloudTrail events are appended, one per line. */
  readonly trailFile?: string;
  readonly region?: string;
  /** Full ARNs, of this region, of keys that exist from the first request on. */
  readonly keyArns?: readonly string[];
}

const ACTIONS: Readonly<Record<string, (keys: Keys, input: Input, by: Requester) => Record<string, unknown>>> =
  Object.freeze({
    CreateKey: keyActions.createKey,
    DescribeKey: keyActions.describeKey,
    EnableKey: keyActions.enableKey,
    DisableKey: keyActions.disableKey,
    ScheduleKeyDeletion: keyActions.scheduleKeyDeletion,
    CancelKeyDeletion: keyActions.cancelKeyDeletion,
    ListKeys: keyActions.listKeys,
    GetKeyPolicy: keyActions.getKeyPolicy,
    PutKeyPolicy: keyActions.putKeyPolicy,
    GenerateDataKey: generateDataKey,
    GenerateDataKeyWithoutPlaintext: generateDataKeyWithoutPlaintext,
    Encrypt: encrypt,
    Decrypt: decrypt,
    ReEncrypt: reEncrypt,
  });

const MAX_REQUEST_BYTES = 1_048_576;

export async function startKms(options: KmsOptions = {}): Promise<KmsServer> {
  const file = options.stateFile;
  const keys = new Keys(
    options.region ?? 'us-west-2',
    file === undefined ? [] : readKeys(file),
    file === undefined ? undefined : (all) => writeKeys(file, all),
  );
  for (const arn of options.keyArns ?? []) keys.createOnce(arn);
  const faults = kmsFaultBook();
  const counts = new CallCounter();
  const permissions = new PermissionBook();
  const trail = new Trail(keys.region, options.trailFile);
  const parts: Parts = { keys, faults, counts, permissions, trail };
  const server = createServer((request, response) => {
    if (isSts(request)) respondSts(request, response);
    else void respond(request, response, parts);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  return serverOf(server, options.host, parts);
}

interface Parts {
  readonly keys: Keys;
  readonly faults: ReturnType<typeof kmsFaultBook>;
  readonly counts: CallCounter;
  readonly permissions: PermissionBook;
  readonly trail: Trail;
}

function serverOf(
  server: Server,
  host: string | undefined,
  { keys, faults, counts, permissions, trail }: Parts,
): KmsServer {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let stopping: Promise<void> | undefined;
  return {
    endpoint: `http://${reachableAt(host, port)}`,
    region: keys.region,
    createKey(options) {
      if (options?.policy !== undefined) checkPolicy(options.policy);
      return keys.create(options).arn;
    },
    keys: () => keys.all().map(({ arn, state, description }) => ({ arn, state, description })),
    state: (arn) => keys.find(arn).state,
    enable: (arn) => keys.enable(keys.find(arn)),
    disable: (arn) => keys.disable(keys.find(arn)),
    scheduleDeletion(arn, { days, answers } = {}) {
      const key = keys.find(arn);
      if (answers !== undefined) key.pendingDeletionAnswers = answers;
      keys.scheduleDeletion(key, days);
    },
    cancelDeletion: (arn) => keys.cancelDeletion(keys.find(arn)),
    setState: (arn, state) => keys.setState(keys.find(arn), state),
    setPolicy(arn, policy) {
      const text = policy === undefined || typeof policy === 'string' ? policy : JSON.stringify(policy);
      keys.setPolicy(keys.find(arn), text === undefined ? undefined : checkPolicy(text));
    },
    permissions,
    forget: (arn) => keys.forget(keys.find(arn)),
    faults,
    counts,
    trail: (account) => trail.of(account),
    stop: () =>
      (stopping ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      })),
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { keys, faults, counts, permissions, trail }: Parts,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const requestId = randomUUID();
  let ended: (refusal?: KmsError) => void = () => undefined;
  try {
    const { operation, input } = await read(request);
    const call = callOf(keys, operation, input);
    const caller = callerOf(request.headers.authorization);
    const count = counts.begin(call);
    ended = (refusal) => {
      count(refusal?.name ?? 'ok');
      const from = { sourceIp: request.socket.remoteAddress ?? '', userAgent: request.headers['user-agent'] ?? '' };
      trail.add({ ...call, input, requestId, caller, ...from, ...(refusal === undefined ? {} : { refusal }) });
    };
    for (const { fault, wait } of faults.take(call)) {
      if (fault.kind === 'hang') await wait(gone.signal);
      else if (fault.kind === 'latency') await wait(gone.signal, fault.ms);
      else throw errorOf(fault.kind === 'flapping' ? fault.fault : fault, call);
      if (gone.signal.aborted) return count('gone');
    }
    const action = Object.hasOwn(ACTIONS, operation) ? ACTIONS[operation] : undefined;
    if (!action) throw new KmsError('UnknownOperationException');
    const body = action(keys, input, { caller, permissions });
    ended();
    send(response, 200, requestId, body);
  } catch (error) {
    const refusal = error instanceof KmsError ? error : new KmsError('KMSInternalException', '', 500);
    ended(refusal);
    const { name, message } = refusal;
    send(response, refusal.status, requestId, { __type: name, ...(message === '' ? {} : { message }) });
  }
}

async function read(request: IncomingMessage): Promise<{ operation: string; input: Input }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw new KmsError('RequestEntityTooLargeException', '', 413);
    chunks.push(chunk);
  }
  const target = request.headers['x-amz-target'];
  const [, operation] = /^TrentService\.(\w+)$/.exec(typeof target === 'string' ? target : '') ?? [];
  if (request.method !== 'POST' || operation === undefined) throw new KmsError('UnknownOperationException');
  if (request.headers.authorization === undefined) {
    throw new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  return { operation, input: parse(Buffer.concat(chunks).toString('utf8')) };
}

function parse(text: string): Input {
  try {
    const input: unknown = JSON.parse(text);
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Input;
  } catch {
    // Rejected below, together with JSON that is not an object.
  }
  throw new KmsError('SerializationException', 'The request is no JSON object.');
}

function send(response: ServerResponse, status: number, requestId: string, body: Record<string, unknown>): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(text),
    'x-amzn-requestid': requestId,
    'cache-control': 'no-cache, no-store, must-revalidate, private',
  });
  response.end(text);
}
