// The judge: Amazon's own AWS Encryption SDK, which knows nothing of us, opens an object with the tenant's KMS key.
import { buildClient, CommitmentPolicy, KMS, KmsKeyringNode, type KmsKeyringNodeInput } from '@aws-crypto/client-node';

/** Its own KMS class is one, but for types that do not tell absent from undefined. */
type KmsClient = Exclude<ReturnType<NonNullable<KmsKeyringNodeInput['clientProvider']>>, false>;

export interface OfficialResult {
  readonly plaintext: Buffer;
  readonly context: Readonly<Record<string, string>>;
}

/** @throws the client's errors: another key, other bytes */
export async function decryptOfficially(
  message: Buffer,
  keyArn: string,
  { endpoint, region }: { endpoint: string; region: string },
): Promise<OfficialResult> {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const kms = new KMS({ endpoint, region, credentials, maxAttempts: 2 });
  try {
    const { decrypt } = buildClient({
      commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
      maxEncryptedDataKeys: 1,
    });
    const keyring = new KmsKeyringNode({ clientProvider: () => kms as KmsClient, keyIds: [keyArn] });
    const { plaintext, messageHeader } = await decrypt(keyring, message);
    return { plaintext, context: { ...messageHeader.encryptionContext } };
  } finally {
    kms.destroy();
  }
}
