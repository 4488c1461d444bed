// Redis outages: an error reply that keeps a connection from becoming ready is the cause of the commands that fail meanwhile.
import { ReplyError, type Command, type Redis } from 'ioredis';
import { isReply } from './redis-errors.ts';

const loading = (): Error => new ReplyError('LOADING Redis is loading the dataset in memory') as Error;

/** Returns a function that returns this reply; undefined while the connection is ready or the network is down. */
export function explainOutages(redis: Redis): () => Error | undefined {
  let reply: Error | undefined;
  redis.on('error', (error) => {
    reply = isReply(error) ? error : undefined;
  });
  redis.on('ready', () => {
    reply = undefined;
  });
  const explained = new WeakSet<Command>();
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    if (redis.status !== 'ready' && !explained.has(command)) {
      explained.add(command);
      const { reject } = command;
      command.reject = (error) => {
        // The client only reports a missing connection or a timeout.
        if (reply && !isReply(error)) error.cause = reply;
        reject(error);
      };
      // The client repeats INFO until Redis has loaded its data, without an event.
      if (command.name === 'info')
        command.promise.then(
          (info) => {
            if (redis.status === 'connect' && /^loading:1\r?$/m.test(String(info))) reply = loading();
          },
          () => {},
        );
    }
    return send(command, stream);
  };
  return () => reply;
}
