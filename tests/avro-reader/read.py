"""Reads Avro records with fastavro, which shares no code with the bridge.

Each line of the input is {"writer": SCHEMA, "reader": SCHEMA or null, "body": BASE64}, the body
without the five bytes that name its schema. Each line of the output is one record as JSON, in the
same order. Times are UTC, YYYY-MM-DD HH:MM:SS; decimals are their text, bytes {"base64": TEXT}.
"""

import base64
import datetime
import decimal
import io
import json
import sys

import fastavro


def plain(value):
    """What JSON has no word for."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    # A time is a date as well.
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return utc.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return value


def read(line):
    wanted = json.loads(line)
    body = io.BytesIO(base64.b64decode(wanted["body"], validate=True))
    writer = fastavro.parse_schema(wanted["writer"])
    reader = wanted["reader"]
    if reader is not None:
        reader = fastavro.parse_schema(reader)
    record = fastavro.schemaless_reader(body, writer, reader)
    rest = len(body.read())
    if rest:
        raise ValueError(f"{rest} bytes follow the record")
    return plain(record)


for number, line in enumerate(sys.stdin.buffer, 1):
    try:
        print(json.dumps(read(line), allow_nan=False))
    except Exception as error:
        sys.exit(f"line {number}: {type(error).__name__}: {error}")
