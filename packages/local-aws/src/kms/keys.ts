// Keys of the local KMS: their states and the allowed transitions. Must not import HTTP or fault code.
import { randomBytes, randomUUID } from 'node:crypto';
import { ACCOUNT } from '../iam/caller.ts';
import { disabled, invalidState, KmsError, notFound } from './errors.ts';

export type KeyState =
  | 'Creating'
  | 'Enabled'
  | 'Disabled'
  | 'PendingDeletion'
  | 'PendingImport'
  | 'PendingReplicaDeletion'
  | 'Unavailable'
  | 'Updating';

export interface KeyOptions {
  readonly description?: string;
  /** Makes an `mrk-` id. */
  readonly multiRegion?: boolean;
  readonly keySpec?: string;
  readonly keyUsage?: string;
  readonly origin?: string;
  readonly customKeyStoreId?: string;
  /** Key policy as JSON; by default the account of the local KMS may do everything. */
  readonly policy?: string;
}

export interface Key extends Required<Omit<KeyOptions, 'customKeyStoreId' | 'policy'>> {
  readonly id: string;
  readonly arn: string;
  readonly created: number;
  readonly material: Buffer;
  readonly customKeyStoreId?: string;
  policy?: string;
  state: KeyState;
  deletionDate?: number;
  /** AWS documents both errors for a key that is pending deletion. */
  pendingDeletionAnswers?: 'KMSInvalidStateException' | 'DisabledException';
}

const DAY_MS = 86_400_000;
const ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):(\d{12}):(key|alias)\/([A-Za-z0-9/_-]+)$/;

export class Keys {
  readonly region: string;
  readonly #keys = new Map<string, Key>();
  readonly #changed: (keys: readonly Key[]) => void;

  constructor(region: string, kept: readonly Key[] = [], changed: (keys: readonly Key[]) => void = () => undefined) {
    this.region = region;
    this.#changed = changed;
    for (const key of kept) this.#keys.set(key.id, key);
  }

  all(): readonly Key[] {
    return [...this.#keys.values()];
  }

  create(options: KeyOptions = {}): Key {
    const id = options.multiRegion === true ? `mrk-${randomBytes(16).toString('hex')}` : randomUUID();
    return this.#add(id, this.arnOf(id), options);
  }

  /** Creates a key with this ARN unless it exists. @throws KmsError if it is not a key ARN, or of another region */
  createOnce(arn: string): Key {
    if (!arn.startsWith('arn:')) throw new KmsError('InvalidArnException', `Invalid arn: ${arn}`);
    const id = this.idOf(arn);
    return this.#keys.get(id) ?? this.#add(id, arn, {});
  }

  #add(id: string, arn: string, options: KeyOptions): Key {
    const key: Key = {
      id,
      arn,
      created: Date.now(),
      material: randomBytes(32),
      description: options.description ?? '',
      multiRegion: options.multiRegion ?? false,
      keySpec: options.keySpec ?? 'SYMMETRIC_DEFAULT',
      keyUsage: options.keyUsage ?? 'ENCRYPT_DECRYPT',
      origin: options.origin ?? 'AWS_KMS',
      ...(options.customKeyStoreId === undefined ? {} : { customKeyStoreId: options.customKeyStoreId }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      state: options.origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled',
    };
    this.#keys.set(id, key);
    this.save();
    return key;
  }

  /** Finds a key by full ARN or by id. @throws KmsError for an unknown key, with the message of KMS */
  find(keyId: string): Key {
    const key = this.#keys.get(this.idOf(keyId));
    if (!key) throw notFound(keyId.startsWith('arn:') ? keyId : this.arnOf(keyId));
    return key;
  }

  arnOf = (id: string): string => `arn:aws:kms:${this.region}:${ACCOUNT}:key/${id}`;

  /** The id in an ARN of this region, or the text itself. */
  idOf(keyId: string): string {
    if (keyId.startsWith('alias/')) throw new KmsError('NotFoundException', `Alias ${keyId} is not found.`);
    if (!keyId.startsWith('arn:')) return keyId;
    const match = ARN.exec(keyId);
    if (!match) throw new KmsError('InvalidArnException', `Invalid arn: ${keyId}`);
    const [, region, , kind, id] = match;
    if (region !== this.region) throw new KmsError('NotFoundException', `Invalid arn ${region}`);
    if (kind === 'alias') throw new KmsError('NotFoundException', `Alias ${keyId} is not found.`);
    return id ?? '';
  }

  enable(key: Key): void {
    if (key.state !== 'Enabled' && key.state !== 'Disabled') throw unfit(key);
    this.setState(key, 'Enabled');
  }

  disable(key: Key): void {
    if (key.state !== 'Enabled' && key.state !== 'Disabled') throw unfit(key);
    this.setState(key, 'Disabled');
  }

  scheduleDeletion(key: Key, days = 30): void {
    if (['PendingDeletion', 'PendingReplicaDeletion', 'Creating', 'Updating'].includes(key.state)) throw unfit(key);
    key.deletionDate = Date.now() + days * DAY_MS;
    this.setState(key, 'PendingDeletion');
  }

  /** Leaves the key disabled, as KMS does. */
  cancelDeletion(key: Key): void {
    if (key.state !== 'PendingDeletion') throw invalidState(key.arn, 'not pending deletion');
    this.setState(key, 'Disabled');
  }

  /** Undefined sets the default policy. */
  setPolicy(key: Key, policy: string | undefined): void {
    if (policy === undefined) delete key.policy;
    else key.policy = policy;
    this.save();
  }

  setState(key: Key, state: KeyState): void {
    key.state = state;
    if (state === 'PendingDeletion') key.deletionDate ??= Date.now() + 30 * DAY_MS;
    else delete key.deletionDate;
    this.save();
  }

  /** Deletes the key and its material, as at the end of a scheduled deletion. */
  forget(key: Key): void {
    this.#keys.delete(key.id);
    key.material.fill(0);
    this.save();
  }

  save(): void {
    this.#changed(this.all());
  }
}

/** @throws KmsError if the key's state does not allow cryptographic calls */
export function assertUsable(key: Key, operation: string): void {
  if (key.state === 'PendingDeletion' && key.pendingDeletionAnswers === 'DisabledException') {
    throw new KmsError('DisabledException', `${key.arn} is pending deletion.`);
  }
  if (key.state !== 'Enabled' && key.state !== 'Updating') throw unfit(key);
  if (key.keyUsage !== 'ENCRYPT_DECRYPT') {
    throw new KmsError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.keyUsage} which is not valid for ${operation}.`,
    );
  }
  if (key.keySpec !== 'SYMMETRIC_DEFAULT' && operation !== 'Encrypt' && operation !== 'Decrypt') {
    throw new KmsError('InvalidKeyUsageException', `${operation} requires a symmetric encryption key.`);
  }
}

/** State names in the error messages of KMS. */
const STATE_WORDS: { readonly [state in Exclude<KeyState, 'Enabled' | 'Updating' | 'Disabled'>]: string } =
  Object.freeze({
    PendingDeletion: 'pending deletion',
    PendingImport: 'pending import',
    PendingReplicaDeletion: 'pending replica deletion',
    Unavailable: 'unavailable',
    Creating: 'creating',
  });

function unfit(key: Key): KmsError {
  if (key.state === 'Disabled') return disabled(key.arn);
  if (key.state === 'Enabled' || key.state === 'Updating') return invalidState(key.arn, 'updating');
  return invalidState(key.arn, STATE_WORDS[key.state]);
}
