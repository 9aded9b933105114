// One run of a job by @sentry/node: `node node_client.js` in the folder that holds the package, with CRONWAX_DSN.
const Sentry = require(require.resolve('@sentry/node', { paths: [process.cwd()] }));
Sentry.init({ dsn: process.env.CRONWAX_DSN, environment: 'live' });
const config = { schedule: { type: 'interval', value: 1, unit: 'day' }, checkinMargin: 5 };
(async () => {
  await Sentry.withMonitor('By Node', () => new Promise((resolve) => setTimeout(resolve, 20)), config);
  await Sentry.flush(5000);
})();
