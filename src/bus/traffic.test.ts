import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { makeTraffic } from './traffic.ts';

const aConnection = () => new EventEmitter() as Socket;
const anAnswer = () => new EventEmitter() as ServerResponse;
const aRequest = (socket: Socket, complete = true) => ({ socket, complete }) as IncomingMessage;
const megabyte = 2 ** 20;

describe('traffic', () => {
  it('lets some requests of one connection be worked on at a time, the others in order after them', () => {
    const traffic = makeTraffic();
    const socket = aConnection();
    const began: number[] = [];
    const answers = Array.from({ length: 40 }, () => anAnswer());
    for (const [i, answer] of answers.entries()) traffic.enter(aRequest(socket), answer, () => began.push(i));
    assert.equal(began.length, 16);
    assert.equal(traffic.inFlight(), 40);
    for (const answer of answers) answer.emit('close');
    assert.deepEqual(began, [...answers.keys()]);
    assert.equal(traffic.inFlight(), 0);
  });

  it('keeps no connection waiting for another', () => {
    const traffic = makeTraffic();
    let began = 0;
    for (let i = 0; i < 100; i++) traffic.enter(aRequest(aConnection()), anAnswer(), () => began++);
    assert.equal(began, 100);
  });

  it('forgets a connection that breaks, with all that it waited for', () => {
    const traffic = makeTraffic();
    const socket = aConnection();
    let began = 0;
    const answers = Array.from({ length: 20 }, () => anAnswer());
    for (const answer of answers) traffic.enter(aRequest(socket), answer, () => began++);
    assert.ok(traffic.mayQueue(socket, answers[0] as ServerResponse, 200 * megabyte));
    socket.emit('close');
    for (const answer of answers) answer.emit('close');
    assert.equal(began, 16);
    assert.equal(traffic.inFlight(), 0);
    assert.ok(traffic.mayQueue(aConnection(), anAnswer(), 200 * megabyte), 'its unread bytes are free again');
  });

  it('refuses large answers when too much is unread, never small ones, until something has been read', () => {
    const traffic = makeTraffic();
    const socket = aConnection();
    const first = anAnswer();
    traffic.enter(aRequest(socket), first, () => undefined);
    assert.ok(traffic.mayQueue(socket, first, 200 * megabyte));
    assert.ok(!traffic.mayQueue(aConnection(), anAnswer(), 100 * megabyte));
    assert.ok(traffic.mayQueue(aConnection(), anAnswer(), 1000));
    first.emit('close');
    assert.ok(traffic.mayQueue(aConnection(), anAnswer(), 100 * megabyte));
  });

  it('waits for no answer without an end, but keeps its place on its connection', () => {
    const traffic = makeTraffic();
    const socket = aConnection();
    const [endless, other, third] = [anAnswer(), anAnswer(), anAnswer()];
    for (const answer of [endless, other, third]) traffic.enter(aRequest(socket), answer, () => undefined);
    traffic.endless(socket, endless);
    assert.equal(traffic.inFlight(), 2);
    let quiet = 0;
    traffic.whenQuiet(socket, () => quiet++);
    other.emit('close');
    third.emit('close');
    assert.deepEqual([traffic.inFlight(), quiet], [0, 0]);
    endless.emit('close');
    assert.deepEqual([traffic.inFlight(), quiet], [0, 1]);
    const [again, behind] = [anAnswer(), anAnswer()];
    for (const answer of [again, behind]) traffic.enter(aRequest(socket), answer, () => undefined);
    traffic.endless(socket, again);
    socket.emit('close');
    assert.equal(traffic.inFlight(), 0);
    traffic.endless(socket, behind);
    assert.equal(traffic.inFlight(), 0);
  });

  it('tells when nothing is owed any more, where what never arrived whole is owed nothing', () => {
    const traffic = makeTraffic();
    const socket = aConnection();
    const [whole, cut] = [anAnswer(), anAnswer()];
    traffic.enter(aRequest(socket), whole, () => undefined);
    traffic.enter(aRequest(socket, false), cut, () => undefined);
    let quiet = 0;
    traffic.whenQuiet(socket, () => quiet++);
    assert.equal(quiet, 0);
    whole.emit('close');
    assert.equal(quiet, 1);
    traffic.whenQuiet(aConnection(), () => quiet++);
    assert.equal(quiet, 2);
  });
});
