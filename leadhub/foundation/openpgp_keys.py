"""New OpenPGP keys that say only what stock GnuPG can do.

pysequoia marks every key it makes as able to read the AEAD packets of RFC 9580 ("features" 0x09), offers no
choice, and encrypts accordingly; GnuPG 2.2 and 2.4 cannot read those. So the mark is taken back and the two
self-signatures that carry it are made again (RFC 9580 5.2.3, 5.2.4; version 4, ECDSA on P-384, SHA-512).
"""

from __future__ import annotations

import hashlib

import pysequoia
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

#: a subpacket: length 2, type 30 (features), flags: integrity protection, and AEAD in the first
_FEATURES, _WITHOUT_AEAD = bytes([2, 30, 0x09]), bytes([2, 30, 0x01])
_ON_KEY = (SignatureType.DirectKey, SignatureType.PositiveCertification)


def secret_key(user_id: str) -> str:
    """An armoured secret key without passphrase or expiry; subkeys for signing and for encryption."""
    made = pysequoia.Tsk.generate(
        user_id, profile=pysequoia.Profile.RFC4880, cipher_suite=pysequoia.CipherSuite.P384
    )
    public = next(iter(PacketPile.from_bytes(bytes(made.extract_certificate())))).body
    packets = list(PacketPile.from_bytes(bytes(made)))
    signer = _private_key(packets[0].body, public)
    parts = []
    for before, packet in zip([None, *packets], packets):
        body = packet.body
        if packet.tag == Tag.Signature and packet.signature_type in _ON_KEY:
            certified = before.body if before is not None and before.tag == Tag.UserID else None
            body = _signed_again(body, public, certified, signer)
        parts.append(_packet(packet, body))
    again = pysequoia.Tsk.from_bytes(b"".join(parts))
    if not again.extract_certificate().user_ids:
        raise RuntimeError("the new self-signature does not verify")
    return str(again)


def _private_key(secret: bytes, public: bytes) -> ec.EllipticCurvePrivateKey:
    """The scalar follows the public part: one octet 0 (no passphrase), then a multiprecision integer."""
    rest = secret[len(public) :]
    bits = int.from_bytes(rest[1:3], "big")
    return ec.derive_private_key(int.from_bytes(rest[3 : 3 + (bits + 7) // 8], "big"), ec.SECP384R1())


def _signed_again(
    body: bytes, public: bytes, user_id: bytes | None, signer: ec.EllipticCurvePrivateKey
) -> bytes:
    end = 6 + int.from_bytes(body[4:6], "big")
    hashed = body[:end].replace(_FEATURES, _WITHOUT_AEAD)
    unhashed = body[end : end + 2 + int.from_bytes(body[end : end + 2], "big")]
    message = b"\x99" + len(public).to_bytes(2, "big") + public
    if user_id is not None:
        message += b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
    message += hashed + b"\x04\xff" + len(hashed).to_bytes(4, "big")
    r, s = decode_dss_signature(signer.sign(message, ec.ECDSA(hashes.SHA512())))
    return hashed + unhashed + hashlib.sha512(message).digest()[:2] + _integer(r) + _integer(s)


def _integer(value: int) -> bytes:
    bits = value.bit_length()
    return bits.to_bytes(2, "big") + value.to_bytes((bits + 7) // 8, "big")


def _packet(packet: Packet, body: bytes) -> bytes:
    return bytes([0xC0 | int(packet.tag), 0xFF]) + len(body).to_bytes(4, "big") + body
