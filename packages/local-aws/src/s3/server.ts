// Local S3 server: fauxqs in this process, with conditional writes, large bodies, faults and request counts.
import { type App, createFauxqs, type ObjectStore } from './fauxqs.ts';
import { persistObjects } from './files.ts';
import { callOf, S3Counter, type S3Requests } from './calls.ts';
import { PermissionBook, type Permissions } from '../iam/permissions.ts';
import { settingResponse, type BucketSetting, type Subresource } from './bucket-settings.ts';
import { digestRefusal, refusalOf } from './conditions.ts';
import { reachableAt } from '../ports.ts';
import { isAllowed } from './permissions.ts';
import { VersionBook } from './versions.ts';
import { S3_ERRORS, s3FaultBook, type S3Call, type S3Fault, type S3Faults } from './fault-injection.ts';

export interface S3Server {
  readonly endpoint: string;
  createBucket(name: string): void;
  /** Sets the settings that the bucket reports. */
  setBucket(name: string, setting: BucketSetting): void;
  /** The bucket keeps replaced and deleted versions from now on, in memory only. */
  keepVersions(bucket: string): void;
  stop(): Promise<void>;
  readonly faults: S3Faults;
  readonly requests: S3Requests;
  /** IAM policies of callers, which are identified by the access key id of a request: see callerOf(). */
  readonly permissions: Permissions;
}

export interface S3Options {
  readonly port?: number;
  readonly host?: string;
  /** Folder for the objects; in memory by default. */
  readonly dir?: string;
  /** Names of buckets that exist from the first request on. */
  readonly buckets?: readonly string[];
}

type Request = Parameters<App['errorHandler']>[1];
type Reply = Parameters<App['errorHandler']>[2];

const MAX_BODY_BYTES = 300 * 1_048_576;

const isWrite = (call: S3Call): boolean =>
  (['PUT', 'DELETE'].includes(call.method) && call.kind === 'object') ||
  (call.method === 'POST' && call.kind === 'upload');

export async function startS3(options: S3Options = {}): Promise<S3Server> {
  const { app, store } = createFauxqs();
  if (options.dir !== undefined) persistObjects(store, options.dir);
  const createBucket = (name: string): void => {
    if (!store.hasBucket(name)) store.createBucket(name);
  };
  options.buckets?.forEach(createBucket);
  const versions = new VersionBook(store);
  const faults = s3FaultBook();
  const requests = new S3Counter();
  const permissions = new PermissionBook();
  acceptLargeBodies(app);
  const lost = new WeakSet();
  const ignoring = new WeakSet();
  const settings = new Map<string, BucketSetting>();
  // After the body was read, so that faults apply only to complete requests.
  app.addHook('preHandler', async (request, reply) => {
    const call = callOf(request.method, request.url);
    requests.add(call);
    const closed = closing(reply);
    for (const { fault, wait } of faults.take(call)) {
      if (fault.kind === 'error') return refuse(request, reply, call, fault);
      if (fault.kind === 'lostResponse') lost.add(request);
      else if (fault.kind === 'ignoreConditions') ignoring.add(request);
      else await wait(closed, fault.kind === 'latency' ? fault.ms : undefined);
      if (closed.aborted) return reply.hijack();
    }
    return undefined;
  });
  app.addHook('preHandler', (request, reply, done) => {
    const call = callOf(request.method, request.url);
    const etag = (): string | undefined => etagOf(store, call);
    const refusal = !isAllowed(permissions, request.headers, call, () => etag() !== undefined)
      ? S3_ERRORS.accessDenied
      : isWrite(call)
        ? ((ignoring.has(request) ? undefined : refusalOf(request.headers, etag())) ??
          digestRefusal(request.headers, request.body))
        : undefined;
    if (refusal) void refuse(request, reply, call, refusal);
    else done();
  });
  app.addHook('preHandler', (request, reply, done) => {
    const call = callOf(request.method, request.url);
    const xml = (status: number, body: string): void =>
      void reply.status(status).header('content-type', 'application/xml').send(body);
    const listed = versions.respond(call, request.url ?? '');
    if (listed) return xml(listed.status, listed.xml ?? '');
    if (call.kind !== 'setting' || !store.hasBucket(call.bucket)) return done();
    const { status, body } = settingResponse(call.key as Subresource, settings.get(call.bucket));
    return xml(status, body);
  });
  app.addHook('onSend', (request, _reply, _payload, done) => {
    if (lost.has(request)) request.raw.socket.destroy();
    done();
  });
  await app.listen({ port: options.port ?? 0, host: options.host ?? '127.0.0.1' });
  const endpoint = `http://${reachableAt(options.host, portOf(app))}`;
  return serverOf(app, { versions, settings }, { endpoint, createBucket, faults, requests, permissions });
}

function serverOf(
  app: App,
  { versions, settings }: { versions: VersionBook; settings: Map<string, BucketSetting> },
  parts: Pick<S3Server, 'endpoint' | 'createBucket' | 'faults' | 'requests' | 'permissions'>,
): S3Server {
  let stopping: Promise<void> | undefined;
  return {
    setBucket: (name, setting) => void settings.set(name, setting),
    stop: () => (stopping ??= app.close().then(() => undefined)),
    keepVersions: (bucket) => versions.enable(bucket),
    ...parts,
  };
}

function portOf(app: App): number {
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The parser of fauxqs is limited to 11 MiB. */
function acceptLargeBodies(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_request, body, done) =>
    done(null, body),
  );
}

/** Aborted if the connection closes before the response. */
function closing(reply: Reply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  else reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

function etagOf(store: ObjectStore, call: S3Call): string | undefined {
  if (!store.hasBucket(call.bucket)) return undefined;
  try {
    return store.headObject(call.bucket, call.key).etag;
  } catch {
    return undefined;
  }
}

function refuse(request: Request, reply: Reply, call: S3Call, fault: Extract<S3Fault, { kind: 'error' }>): Reply {
  reply.status(fault.status);
  if (request.method === 'HEAD') return reply.send();
  return reply
    .header('content-type', 'application/xml')
    .send(
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${fault.code}</Code><Message>${fault.message ?? fault.code}</Message>` +
        `<Resource>/${encodeURI(`${call.bucket}/${call.key}`)}</Resource></Error>`,
    );
}
