/* Messages of AWS's event streams, written byte by byte from the published layout and without the library that reads them. */
import { crc32 } from 'node:zlib'

/** @param headers texts by name, or the bytes of headers of any kind */
export function awsMessage(headers: Readonly<Record<string, string>> | Buffer, payload: string | Buffer): Buffer {
  const head = Buffer.isBuffer(headers) ? headers : Buffer.concat(Object.entries(headers).map(textHeader))
  const body = Buffer.from(payload)
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(16 + head.length + body.length, 0)
  prelude.writeUInt32BE(head.length, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  const message = Buffer.concat([prelude, head, body, Buffer.alloc(4)])
  message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4)
  return message
}

function textHeader([name, value]: readonly [string, string]): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7]), length, bytes])
}
