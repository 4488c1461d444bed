// Exports of the package.
export { startLocalAws, type LocalAws, type LocalAwsOptions, type LocalAwsServices } from './local-aws.ts';
export { startKms, type KmsOptions, type KmsServer } from './kms/server.ts';
export type { KeyOptions, KeyState } from './kms/keys.ts';
export { KMS_ERRORS, type KmsErrorFault, type KmsFault, type KmsMatch } from './kms/fault-injection.ts';
export { startS3, type S3Options, type S3Server } from './s3/server.ts';
export { S3_ERRORS, type S3Fault, type S3Match } from './s3/fault-injection.ts';
export { LOCAL_ROLE } from './iam/caller.ts';
export { startRedis, type RedisOptions, type RedisServer } from './redis/redis.ts';
export { freePort } from './ports.ts';
