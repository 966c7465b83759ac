// Fields of the headers of a frame: a virtio_net_hdr (linux/virtio_net.h), then Ethernet, and often IPv4 and TCP.
#pragma once
#include <stdint.h>
#include <string.h>

enum { VNET = 10, ETHERNET = 14, TSO4 = 1, IS_TCP = 6, ONLY_ACK = 0x10 };

// The number of the host that a frame is for, from 0; -1: of none.
static int target_of(const unsigned char* frame, int size) {
  static const unsigned char prefix[5] = {2, 0, 0, 0, 77};
  return size < VNET + ETHERNET || memcmp(frame + VNET, prefix, 5) ? -1 : frame[VNET + 5] - 1;
}

// Packets and bytes that a link carries for a frame: an adapter would cut what is longer than gso_size into segments
// that repeat the headers, which end csum_start and the TCP header's own length (its offset 12, in words) behind.
static void count_segments(const unsigned char* frame, int size, uint64_t* packets, uint64_t* bytes) {
  uint16_t segment, tcp;
  memcpy(&segment, frame + 4, 2), memcpy(&tcp, frame + 6, 2);
  const int whole = size - VNET;
  *packets = 1, *bytes = whole;
  if (frame[1] != TSO4 || !segment || tcp + 12 >= whole) return;
  const int header = tcp + (frame[VNET + tcp + 12] >> 4) * 4;
  if (header >= whole) return;
  *packets = (whole - header + segment - 1) / segment;
  *bytes = whole - header + *packets * header;
}

// Whether a frame is an acknowledgement of TCP without data: IPv4's length is that of both headers.
static int is_acknowledgement(const unsigned char* frame, int size) {
  const unsigned char* ip = frame + VNET + ETHERNET;
  if (size < VNET + ETHERNET + 40 || ip[-2] != 8 || ip[-1] != 0 || ip[9] != IS_TCP) return 0;
  const unsigned char* tcp = ip + (ip[0] & 15) * 4;
  if (tcp + 20 > frame + size || tcp[13] != ONLY_ACK) return 0;
  return (ip[2] << 8 | ip[3]) == tcp - ip + (tcp[12] >> 4) * 4;
}
