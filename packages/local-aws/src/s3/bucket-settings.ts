// Bucket settings of the emulator, as S3 returns them: versioning, lifecycle rules, encryption. They have no effect on objects.

export interface BucketSetting {
  readonly versioning?: 'Enabled' | 'Suspended';
  /** Rules as S3's XML: `<Rule>…</Rule>`. */
  readonly lifecycle?: string;
  /** `AES256` by default, as in S3. */
  readonly encryption?: 'AES256' | 'aws:kms' | 'none';
}

export const SUBRESOURCES = ['versioning', 'lifecycle', 'encryption'] as const;
export type Subresource = (typeof SUBRESOURCES)[number];

interface SettingResponse {
  readonly status: number;
  readonly body: string;
}

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

const found = (name: string, body: string): SettingResponse => ({
  status: 200,
  body: `${XML}<${name} ${NAMESPACE}>${body}</${name}>`,
});

const none = (code: string, message: string): SettingResponse => ({
  status: 404,
  body: `${XML}<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

export function settingResponse(which: Subresource, setting: BucketSetting = {}): SettingResponse {
  const { versioning, lifecycle, encryption = 'AES256' } = setting;
  if (which === 'versioning')
    return found('VersioningConfiguration', versioning === undefined ? '' : `<Status>${versioning}</Status>`);
  if (which === 'lifecycle')
    return lifecycle === undefined
      ? none('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist')
      : found('LifecycleConfiguration', lifecycle);
  if (encryption === 'none')
    return none(
      'ServerSideEncryptionConfigurationNotFoundError',
      'The server side encryption configuration was not found',
    );
  const key = encryption === 'aws:kms' ? '<KMSMasterKeyID>bucket-key</KMSMasterKeyID>' : '';
  const byDefault = `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>${encryption}</SSEAlgorithm>${key}</ApplyServerSideEncryptionByDefault>`;
  return found('ServerSideEncryptionConfiguration', `<Rule>${byDefault}</Rule>`);
}
