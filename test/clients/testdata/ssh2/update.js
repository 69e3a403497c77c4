// A client of dnsgate with Node's ssh2: GATE PORT KEY KNOWN_HOSTS WORD...
//
// The KEY "agent" stands for the keys of ssh-agent. ssh2 does not read known_hosts
// itself, and takes any host key without a hostVerifier.
const { readFileSync } = require('fs');
const { Client } = require(process.cwd() + '/node_modules/ssh2');

const [gate, port, key, knownHosts, ...words] = process.argv.slice(2);

// The keys that known_hosts has for the gateway, as they go over the wire.
const known = readFileSync(knownHosts, 'utf8').split('\n').map((line) => line.split(' '))
  .filter(([host]) => host === `[${gate}]:${port}`).map(([, , blob]) => Buffer.from(blob, 'base64'));

const client = new Client();
let status = 255;
let refused = false;
client.on('ready', () => client.exec(words.join(' '), (err, channel) => {
  if (err) throw err;
  channel.on('exit', (code) => { status = code ?? 255; }); // null: ended by a signal
  channel.on('close', () => client.end());
  channel.end(); // no standard input
  channel.pipe(process.stdout);
  channel.stderr.pipe(process.stderr);
}));
client.on('error', (err) => console.error(refused ? `${knownHosts} has another host key for this gateway, or none` : err.message));
client.on('close', () => { process.exitCode = status; });
try {
  client.connect({
    host: gate, port, username: 'dnsgate', readyTimeout: 10000,
    hostVerifier: (offered) => !(refused = !known.some((blob) => blob.equals(offered))),
    ...(key === 'agent' ? { agent: process.env.SSH_AUTH_SOCK } : { privateKey: readFileSync(key) }),
  });
} catch (err) { // a key that it does not know
  console.error(err.message);
  process.exitCode = 255;
}
