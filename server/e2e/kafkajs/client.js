// kafkajs as people use it: admin, an idempotent producer, compression, a group that rebalances. Nodes
// are killed meanwhile: ../disturbed.py says how that is asked for.
"use strict";

const assert = require("node:assert");
const readline = require("node:readline");
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require("kafkajs");
const snappy = require("snappyjs");

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async (encoder) => Buffer.from(snappy.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(snappy.uncompress(buffer)),
});

const kafka = new Kafka({
  clientId: "e2e",
  brokers: process.argv[2].split(","),
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, retries: 30, maxRetryTime: 1000 },
});
const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const PARTITIONS = 3;

async function disturb(...words) {
  console.log(["@kill", ...words].join(" "));
  await input.next();
}

async function until(what, condition) {
  for (const end = Date.now() + 60000; Date.now() < end; await pause(50)) {
    if (await condition()) return;
  }
  throw new Error(`not within a minute: ${what}`);
}

async function admin() {
  const client = kafka.admin();
  await client.connect();
  const made = await client.createTopics({
    waitForLeaders: true,
    topics: [
      {
        topic: "made",
        numPartitions: PARTITIONS,
        replicationFactor: 3,
        configEntries: [{ name: "retention.ms", value: "86400000" }],
      },
    ],
  });
  assert.ok(made);
  assert.strictEqual(await client.createTopics({ topics: [{ topic: "made" }] }), false);
  await assert.rejects(
    client.createTopics({ topics: [{ topic: "odd", configEntries: [{ name: "x", value: "1" }] }] }),
  );
  assert.ok((await client.listTopics()).includes("made"));
  const { topics } = await client.fetchTopicMetadata({ topics: ["made"] });
  assert.strictEqual(topics[0].partitions.length, PARTITIONS);
  assert.ok(topics[0].partitions.every((partition) => partition.replicas.length === 3));
  const cluster = await client.describeCluster();
  assert.strictEqual(cluster.brokers.length, 3);
  await disturb("leader", "made");
  await client.createTopics({ topics: [{ topic: "while-one-is-away" }], waitForLeaders: true });
  await client.deleteTopics({ topics: ["made"] });
  await until("it is deleted", async () => !(await client.listTopics()).includes("made"));
  await client.disconnect();
  console.log("admin: topics made, described and deleted");
}

// Numbered messages to all partitions, and a leader killed in their midst.
async function produce(topic, count, compression, settings) {
  const client = kafka.admin();
  await client.connect();
  await client.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
  await client.disconnect();
  const producer = kafka.producer(settings);
  await producer.connect();
  const batch = 50;
  for (let first = 0; first < count; first += batch) {
    if (first === batch * Math.floor(count / batch / 3)) await disturb("leader", topic);
    const messages = [];
    for (let n = first; n < first + batch; ++n) {
      messages.push({ value: String(n), partition: n % PARTITIONS, key: `key-${n}` });
    }
    await producer.send({ topic, acks: -1, compression, messages });
  }
  await producer.disconnect();
}

class Member {
  constructor(groupId, topic) {
    this.seen = [];
    this.owned = [];
    this.consumer = kafka.consumer({
      groupId,
      sessionTimeout: 6000,
      heartbeatInterval: 300,
      rebalanceTimeout: 10000,
      maxWaitTimeInMs: 200,
    });
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.owned = payload.memberAssignment[topic] || [];
    });
    this.consumer.on(this.consumer.events.CRASH, ({ payload }) => {
      console.log(`a consumer crashed: ${payload.error}, restarts: ${payload.restart}`);
    });
    this.topic = topic;
  }

  async start() {
    await this.consumer.connect();
    await this.consumer.subscribe({ topics: [this.topic], fromBeginning: true });
    await this.consumer.run({
      autoCommitInterval: 200,
      eachMessage: async ({ message }) => {
        this.seen.push(Number(message.value));
      },
    });
  }
}

const missing = (members, count) => {
  const seen = new Set(members.flatMap((member) => member.seen));
  return [...Array(count).keys()].filter((n) => !seen.has(n));
};
const sharedOut = (members) =>
  members.every((member) => member.owned.length > 0) &&
  members.flatMap((member) => member.owned).length === PARTITIONS;

async function groups() {
  const topic = "shared";
  const group = "kafkajs-group";
  await produce(topic, 3000, CompressionTypes.None, { idempotent: true, maxInFlightRequests: 1 });
  const one = new Member(group, topic);
  const two = new Member(group, topic);
  await one.start();
  await until("one member has all partitions", () => sharedOut([one]));
  await two.start();
  await until("two members share them", () => sharedOut([one, two]));
  await until("all is read", () => missing([one, two], 3000).length === 0);
  await disturb("coordinator", group);
  const producer = kafka.producer();
  await producer.connect();
  for (let n = 3000; n < 3300; ++n) {
    await producer.send({ topic, messages: [{ value: String(n), partition: n % PARTITIONS }] });
  }
  await producer.disconnect();
  await until("they read on without their coordinator", () => missing([one, two], 3300).length === 0);
  await two.consumer.disconnect();
  await until("one member has all partitions again", () => sharedOut([one]));
  const client = kafka.admin();
  await client.connect();
  await until("all is committed", async () => {
    const [{ partitions }] = await client.fetchOffsets({ groupId: group, topics: [topic] });
    return partitions.every(({ offset }) => offset === "1100");
  });
  const [described] = (await client.describeGroups([group])).groups;
  assert.strictEqual(described.state, "Stable");
  assert.strictEqual(described.members.length, 1);
  await one.consumer.disconnect();
  const { groups: listed } = await client.listGroups();
  assert.ok(listed.some(({ groupId }) => groupId === group));
  await client.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: "5" }] });
  const [{ partitions }] = await client.fetchOffsets({ groupId: group, topics: [topic] });
  assert.strictEqual(partitions.find(({ partition }) => partition === 0).offset, "5");
  const [deleted] = await client.deleteGroups([group]);
  assert.strictEqual(deleted.errorCode ?? 0, 0);
  await client.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "10" }] });
  const offsets = await client.fetchTopicOffsets(topic);
  assert.strictEqual(offsets.find(({ partition }) => partition === 0).low, "10");
  await client.disconnect();
  console.log("groups: two members, 3300 messages, and all is committed");
}

async function compression() {
  for (const name of ["GZIP", "Snappy"]) {
    const topic = `packed-${name}`;
    await produce(topic, 1500, CompressionTypes[name], { idempotent: true, maxInFlightRequests: 1 });
    const member = new Member(topic, topic);
    await member.start();
    await until(`all of ${name} is read`, () => missing([member], 1500).length === 0);
    await member.consumer.disconnect();
    assert.strictEqual(member.seen.length, 1500, "each message once");
    console.log(`${name}: 1500 messages, each once`);
  }
}

(async () => {
  await admin();
  await produce("idempotent", 6000, CompressionTypes.None, { idempotent: true, maxInFlightRequests: 1 });
  console.log("idempotent: 6000 messages are acknowledged");
  await groups();
  await compression();
  process.exit(0);
})().catch((error) => {
  console.log(error.stack, error.errors ?? "");
  process.exit(1);
});
