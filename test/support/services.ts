// Services for end-to-end tests: a separate S3 and KMS, and the run's Redis with a separate queue name.
import { awsServices, type AwsServices } from './aws-services.ts';
import { removeKeys, testRedisUrl } from './redis.ts';

export interface TestServices extends AwsServices {
  readonly redisUrl: string;
}

/** Use it with `await using`: it stops both servers and removes the queue's keys from Redis. */
export async function testServices(): Promise<TestServices> {
  const redisUrl = testRedisUrl();
  const aws = await awsServices();
  const { settings } = aws;
  return {
    ...aws,
    settings: Object.freeze({ ...settings, REDIS_URL: redisUrl }),
    redisUrl,
    async [Symbol.asyncDispose]() {
      await Promise.all([
        aws[Symbol.asyncDispose](),
        removeKeys(redisUrl, `sealdex:{${String(settings.SEALDEX_QUEUE)}}`),
      ]);
    },
  };
}
