// The KMS calls by which a key is examined, one at a time: nothing is shared, paced or kept, as a look at one key needs none of it.
// What they say about the key is src/keys/check's business.
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  ReEncryptCommand,
  type KeyMetadata,
} from '@aws-sdk/client-kms';
import type { AuditLog } from '../../runtime/audit-log.ts';
import { orAbort } from '../../runtime/clock.ts';
import { platformArns, type Config } from '../../runtime/config.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { regionOf } from '../../runtime/settings.ts';
import type { KeyContext } from '../data-key.ts';
import { kmsFault } from './kms-error-mapping.ts';
import { contextOf, DEADLINE_MS, openClient, takePlaintext, type Answer, type GeneratedKey } from './kms-client.ts';
import { auditTries, operationOf } from './tries.ts';

/** What DescribeKey tells. */
export interface KeyFacts {
  readonly spec: string;
  readonly usage: string;
  readonly state: string;
  readonly origin: string;
  readonly isInCustomStore: boolean;
  /** When imported material or the key itself is gone: wall clock, milliseconds. */
  readonly expiresAt?: number;
  readonly deletesAt?: number;
  /** Of a multi-region key, where it and its replicas are. */
  readonly regions?: readonly string[];
}

/** All throw SealdexError by the tables of keys/kms-errors.ts, or the signal's reason. */
export interface KeyCalls {
  describe(arn: string, tenant: string, signal?: AbortSignal): Promise<KeyFacts>;
  /** The receiver wipes the plaintext. `tenant`: for whom, when the context is not its own. */
  generateDataKey(arn: string, context: KeyContext, signal?: AbortSignal, tenant?: string): Promise<GeneratedKey>;
  /** The receiver wipes it. */
  decrypt(arn: string, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  encrypt(arn: string, plaintext: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  /** From this key to itself. */
  reEncrypt(arn: string, wrapped: Uint8Array, context: KeyContext, signal?: AbortSignal): Promise<Buffer>;
  close(): void;
}

export function createKeyCalls(config: Config, audit: AuditLog, metrics?: Metrics): KeyCalls {
  const client = openClient(config, 'patient');
  const ours = platformArns(config);
  const tries = auditTries(client, audit, ours);

  async function call<T extends object>(
    arn: string,
    tenant: string,
    signal: AbortSignal | undefined,
    command: { readonly input: object },
    send: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const operation = operationOf(command);
    tries.sentBy(command.input, { tenant, who: await audit.who() });
    signal?.throwIfAborted();
    const late = AbortSignal.timeout(DEADLINE_MS.patient);
    const abortSignal = signal ? AbortSignal.any([signal, late]) : late;
    const counted = (result: string): void => metrics?.count('sealdex_kms_calls_total', { operation, result });
    const sent = send({ abortSignal });
    try {
      const answer = await orAbort(sent, abortSignal);
      counted('ok');
      return answer;
    } catch (error) {
      // Nobody waits for it any more: what comes after all is wiped.
      sent.then(
        (answer) => (answer as Answer).Plaintext?.fill(0),
        () => {},
      );
      if (signal?.aborted) throw signal.reason;
      const fault = kmsFault(error, { arn, isPlatformKey: ours.has(arn) });
      counted(fault.code);
      throw fault;
    }
  }

  return {
    async describe(KeyId, tenant, signal) {
      const command = new DescribeKeyCommand({ KeyId });
      const { KeyMetadata } = await call(KeyId, tenant, signal, command, (options) => client.send(command, options));
      return factsOf(KeyMetadata);
    },
    async generateDataKey(KeyId, context, signal, tenant = context.tenant) {
      const EncryptionContext = contextOf(context);
      const command = new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext });
      const answer = await call(KeyId, tenant, signal, command, (options) => client.send(command, options));
      return { plaintext: takePlaintext(answer, KeyId), wrapped: Buffer.from(answer.CiphertextBlob ?? []) };
    },
    async decrypt(KeyId, CiphertextBlob, context, signal) {
      const command = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: contextOf(context) });
      const answer = await call(KeyId, context.tenant, signal, command, (options) => client.send(command, options));
      return takePlaintext(answer, KeyId);
    },
    async encrypt(KeyId, Plaintext, context, signal) {
      const command = new EncryptCommand({ KeyId, Plaintext, EncryptionContext: contextOf(context) });
      const answer = await call(KeyId, context.tenant, signal, command, (options) => client.send(command, options));
      return Buffer.from(answer.CiphertextBlob ?? []);
    },
    async reEncrypt(arn, CiphertextBlob, context, signal) {
      const command = new ReEncryptCommand({
        CiphertextBlob,
        SourceKeyId: arn,
        DestinationKeyId: arn,
        SourceEncryptionContext: contextOf(context),
        DestinationEncryptionContext: contextOf(context),
      });
      const answer = await call(arn, context.tenant, signal, command, (options) => client.send(command, options));
      return Buffer.from(answer.CiphertextBlob ?? []);
    },
    close: () => tries.close(),
  };
}

function factsOf(metadata: Partial<KeyMetadata> = {}): KeyFacts {
  const { KeySpec, KeyUsage, KeyState, Origin, ValidTo, DeletionDate, CustomKeyStoreId } = metadata;
  const { PrimaryKey, ReplicaKeys = [] } = metadata.MultiRegionConfiguration ?? {};
  const copies = [PrimaryKey, ...ReplicaKeys].flatMap((copy) => (copy ? [copy] : []));
  const regions = copies.map(({ Region, Arn = '' }) => Region ?? regionOf(Arn));
  return {
    spec: KeySpec ?? 'unknown',
    usage: KeyUsage ?? 'unknown',
    state: KeyState ?? 'unknown',
    origin: Origin ?? 'unknown',
    isInCustomStore: CustomKeyStoreId !== undefined,
    ...(ValidTo === undefined ? {} : { expiresAt: ValidTo.getTime() }),
    ...(DeletionDate === undefined ? {} : { deletesAt: DeletionDate.getTime() }),
    ...(metadata.MultiRegion === true ? { regions } : {}),
  };
}
