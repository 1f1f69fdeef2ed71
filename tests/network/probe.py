#!/usr/bin/env python3
"""Asks at an absolute pace and counts the answers.

    probe.py ping ADDRESS COUNT INTERVAL     ICMP echo requests
    probe.py rip ADDRESS COUNT INTERVAL      RIPv2 requests for one route each (RFC 2453, 3.9.1)
    probe.py forge ADDRESS                   a RIPv2 response from a port that is not RIP's
    probe.py hear SECONDS                    prints `heard N`: RIP messages that come to this host, in so much time

RIP messages have the simple password RIP_PASSWORD, if that is set. The first two
print `sent N answered M longest MS`: the longest time without an answer, in milliseconds, to the end of sending if need be. Every request is sent at
start + k * INTERVAL seconds, so what is lost tells how long nothing got through."""
import os
import socket
import struct
import sys
import threading
import time

LINGER = 1.0
PASSWORD = os.environ.get("RIP_PASSWORD")


def rip(command, *entries):
    """A RIPv2 message; an entry is address, mask, metric and family."""
    message = struct.pack("!BBH", command, 2, 0)
    if PASSWORD:
        message += struct.pack("!HH16s", 0xFFFF, 2, PASSWORD.encode())
    for address, mask, metric, family in entries:
        message += struct.pack("!HHIIII", family, 0, address, mask, 0, metric)
    return message


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Ping:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.to = (address, 0)
        self.ident = os.getpid() & 0xFFFF

    def request(self, number):
        body = struct.pack("!I", number)
        head = struct.pack("!BBHHH", 8, 0, 0, self.ident, number & 0xFFFF)
        return struct.pack("!BBHHH", 8, 0, checksum(head + body), self.ident, number & 0xFFFF) + body

    def number(self, packet):
        icmp = packet[(packet[0] & 15) * 4:]
        if len(icmp) < 12 or icmp[0] != 0 or struct.unpack("!H", icmp[4:6])[0] != self.ident:
            return None
        return struct.unpack("!I", icmp[8:12])[0]


class Rip:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.to = (address, 520)

    def request(self, number):
        network = (172 << 24) | (16 << 20) | ((number & 0xFFF) << 8)
        return rip(1, (network, 0xFFFFFF00, 0, 2))

    def number(self, packet):
        if len(packet) != len(self.request(0)) or packet[0] != 2:
            return None
        return struct.unpack("!I", packet[-16:-12])[0] >> 8 & 0xFFF


def forge(address):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    network = (10 << 24) | (66 << 16)
    sender.sendto(rip(2, (network, 0xFFFF0000, 1, 2)), (address, 520))


def hear(seconds):
    listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    everywhere = socket.inet_aton("224.0.0.9") + socket.inet_aton("0.0.0.0")
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, everywhere)
    listener.settimeout(0.1)
    end, heard = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            packet = listener.recv(2048)
        except OSError:
            continue
        begin = (packet[0] & 15) * 4
        heard += struct.unpack("!H", packet[begin + 2:begin + 4])[0] == 520
    print("heard %d" % heard)


def main():
    kind, address = sys.argv[1], sys.argv[2]
    if kind == "forge":
        return forge(address)
    if kind == "hear":
        return hear(float(address))
    count, interval = int(sys.argv[3]), float(sys.argv[4])
    probe = {"ping": Ping, "rip": Rip}[kind](address)
    probe.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    probe.socket.settimeout(0.1)
    answers, done = {}, threading.Event()

    def listen():
        while not done.is_set():
            try:
                packet = probe.socket.recv(2048)
            except OSError:
                continue
            number = probe.number(packet)
            if number is not None:
                answers.setdefault(number, time.monotonic())

    listener = threading.Thread(target=listen)
    listener.start()
    start = time.monotonic()
    for number in range(count):
        delay = start + number * interval - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        try:
            probe.socket.sendto(probe.request(number), probe.to)
        except OSError:
            pass  # unreachable: it counts as not answered
    end = time.monotonic() + LINGER
    while time.monotonic() < end and len(answers) < count:
        time.sleep(0.02)
    done.set()
    listener.join()
    times = [start] + sorted(answers.values())
    if len(answers) < count:
        times.append(max(start + count * interval, times[-1]))
    longest = max((b - a for a, b in zip(times, times[1:])), default=0)
    print("sent %d answered %d longest %d" % (count, len(answers), longest * 1000))


main()
