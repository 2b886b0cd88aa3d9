// Facts as JSON that both sides write in the same way; README.md says how.

export function plain(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return { bigint: String(value) };
  if (typeof value === "number") {
    if (Number.isNaN(value)) return { number: "NaN" };
    if (!Number.isFinite(value)) return { number: value > 0 ? "Infinity" : "-Infinity" };
    return Object.is(value, -0) ? { number: "-0" } : value;
  }
  if (value instanceof Date) return { date: value.getTime() };
  if (value instanceof Error) return { thrown: value.message };
  if (value instanceof Set) return { set: [...value].map(plain) };
  if (value instanceof Map) return object([...value]);
  if (value instanceof ArrayBuffer) return plain(new Uint8Array(value));
  if (value instanceof Uint8Array) return { bytes: [...value].join(" ") };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object") return object(Object.entries(value));
  return value;
}

function object(pairs) {
  return Object.fromEntries(pairs.map(([key, item]) => [key, plain(item)]));
}

export function failure(error) {
  const found = { error: error?.name ?? typeof error, message: error?.message ?? String(error) };
  for (const mark of ["remote", "retryable", "overloaded", "durableObjectReset"]) {
    if (error?.[mark]) found[mark] = true;
  }
  return found;
}

// What a call gives, or what it throws.
export async function outcome(call) {
  try {
    return { value: plain(await call()) };
  } catch (error) {
    return failure(error);
  }
}

export function wait(ms) {
  return scheduler.wait(ms);
}

// The outcomes of calls, by what they are called.
export async function each(calls) {
  const found = {};
  for (const [name, call] of Object.entries(calls)) found[name] = await outcome(call);
  return found;
}
