// Calls to the local KMS through the real SDK, with their audit lines: built by hand, from the client's view.
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';
import { eventsOf } from '../../src/audit/cloudtrail.ts';
import { readAuditLine } from '../../src/audit/audit-line.ts';
import { Reconciliation, type ReconcileQuery, type Reconciled } from '../../src/audit/reconcile.ts';
import { type KmsServer, startKms } from '@sealdex/local-aws';

export interface Context {
  readonly tenant: string;
  readonly period: string;
  readonly purpose: 'documents' | 'intake';
}

export type Line = Readonly<Record<string, unknown>>;

export interface Fixture extends AsyncDisposable {
  readonly kms: KmsServer;
  /** Calls as another principal, which writes no audit line: an access key id in the form of an ARN is the caller. */
  stranger(arn: string): KMSClient;
  /** Each makes one call and returns its audit line. */
  generate(key: string, context: Context): Promise<Line>;
  decrypt(key: string, context: Context, wrappedIn?: Context): Promise<Line>;
  encrypt(key: string, context: Context): Promise<Line>;
  reEncrypt(key: string, context: Context): Promise<Line>;
  describe(key: string): Promise<Line>;
}

export const contextOf = (tenant: string): Context => ({ tenant, period: '2026-11-30T00:17Z', purpose: 'documents' });

export async function openFixture(): Promise<Fixture> {
  const kms = await startKms();
  const clientOf = (accessKeyId: string): KMSClient =>
    new KMSClient({
      endpoint: kms.endpoint,
      region: kms.region,
      credentials: { accessKeyId, secretAccessKey: 'local' },
      maxAttempts: 1,
    });
  const clients: KMSClient[] = [clientOf('local')];
  const [client] = clients as [KMSClient];

  async function lineFor(
    operation: string,
    key: string,
    context: Partial<Context>,
    call: Promise<Answer>,
  ): Promise<Line> {
    const time = new Date().toISOString();
    const ended = await call.then(
      ({ $metadata }) => ({ result: 'ok', requestId: $metadata.requestId }),
      (error: Error & Partial<Answer>) => ({ result: error.name, requestId: error.$metadata?.requestId }),
    );
    return { audit: 1, time, tenant: 'acme', operation, key, ...context, ...ended, process: 'worker 8f3a', job: 'j1' };
  }

  /** The context of the calls, without an audit line. */
  const wrapped = async (KeyId: string, EncryptionContext: Context): Promise<Uint8Array> => {
    const { CiphertextBlob } = await client.send(
      new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(32), EncryptionContext: { ...EncryptionContext } }),
    );
    return CiphertextBlob!;
  };

  return {
    kms,
    stranger(arn) {
      const one = clientOf(arn);
      clients.push(one);
      return one;
    },
    generate(KeyId, context) {
      const EncryptionContext = { ...context };
      const command = new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext });
      return lineFor('GenerateDataKey', KeyId, context, client.send(command));
    },
    async decrypt(KeyId, context, wrappedIn = context) {
      const CiphertextBlob = await wrapped(KeyId, wrappedIn);
      const command = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: { ...context } });
      return lineFor('Decrypt', KeyId, context, client.send(command));
    },
    encrypt(KeyId, context) {
      const command = new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(32), EncryptionContext: { ...context } });
      return lineFor('Encrypt', KeyId, context, client.send(command));
    },
    async reEncrypt(KeyId, context) {
      const command = new ReEncryptCommand({
        CiphertextBlob: await wrapped(KeyId, context),
        SourceKeyId: KeyId,
        DestinationKeyId: KeyId,
        SourceEncryptionContext: { ...context },
        DestinationEncryptionContext: { ...context },
      });
      return lineFor('ReEncrypt', KeyId, context, client.send(command));
    },
    describe: (KeyId) => lineFor('DescribeKey', KeyId, {}, client.send(new DescribeKeyCommand({ KeyId }))),
    async [Symbol.asyncDispose]() {
      for (const each of clients) each.destroy();
      await kms.stop();
    },
  };
}

interface Answer {
  readonly $metadata: { readonly requestId?: string | undefined };
}

/** As the command line does, without files. */
export async function reconcile(
  lines: readonly Line[],
  events: readonly object[],
  query: ReconcileQuery,
): Promise<Reconciled> {
  const reconciliation = new Reconciliation(query);
  const calls = lines
    .map((line) => readAuditLine(JSON.stringify(line)))
    .flatMap((read) => (read.kind === 'call' ? [read.call] : []));
  for (const call of calls) reconciliation.collectKey(call);
  for (const call of calls) reconciliation.addCall(call);
  for await (const event of eventsOf(logFile(events))) reconciliation.addEvent(event);
  return reconciliation.end();
}

async function* logFile(events: readonly object[]): AsyncGenerator<Buffer> {
  yield Buffer.from(JSON.stringify({ Records: events }));
}
