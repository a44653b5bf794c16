#!/usr/bin/env bash
# Verifies a whole Phasegate ledger without Phasegate: with bash, jq, sha256sum and ssh-keygen, and
# with git only to read a repository's branch. docs/verify-a-report.md says what it shows.
#
#   verify-ledger.sh [--genesis SHA256] [--remember SEQ:SHA256] LEDGER
#
# LEDGER is a git repository with the branch `phase-ledger`, or a folder with `entries/000000/…`.
# Exit 0: it verifies. Exit 1: it does not; each line on stderr names an entry and the reason.
# Exit 2: wrong usage, or a program is missing.
set -euo pipefail
shopt -s nullglob dotglob
export LC_ALL=C
unset "${!GIT_@}"

readonly NAMESPACE=phase-ledger@phasegate.dev BRANCH=refs/heads/phase-ledger
readonly ENTRY_BYTES_MAX=262144 SIGNATURE_BYTES_MAX=16384 RSA_BITS_MIN=3072
readonly NUMBER='([0-9]{6}|[1-9][0-9]{6,})' FILE='(entry\.json|[a-z0-9][a-z0-9._-]{0,63}\.sig)'

# ---- What bytes are an entry ------------------------------------------------------------------

# jq reads more than JSON. Nobody may read the signed bytes in another way, so this is strict.
JSON=$(cat <<'JQ'
# Every token as RFC 8259 has it; half a surrogate pair is no character.
def is_lexically_strict: test("\\A(?>"
  + "[ \\t\\n\\r{}\\[\\],:]+"
  + "|\"(?>[^\"\\\\\\x00-\\x1f]+|\\\\[\"\\\\/bfnrt]|\\\\u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}"
  + "|[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}))*\""
  + "|(?>-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)(?![^ \\t\\n\\r\\]},])"
  + ")*+\\z");

def is_u64: test("\\A[0-9]{1,20}\\z") and (length < 20 or . <= "18446744073709551615");

# jq takes 1.0 for 1. Only `detail` may hold other numbers than whole ones, so all others become
# `false`, which no other field takes.
def whole_number:
  capture("\\A(?<before>[^-0-9]*)(?<number>[-+.0-9eE]+)(?<after>[^0-9]*)\\z") as $part
  | if $part.number | tonumber | isinfinite then error("a number is out of range") else . end
  | if $part.number | is_u64 then . else "\($part.before)false\($part.after)" end;

# Between two separators there is one number at most.
def whole_numbers: split(",") | map(split(":")
  | map(if test("[0-9]") then whole_number else . end) | join(":")) | join(",");

def nesting:
  if type == "array" then 1 + (map(nesting) | max // 0)
  elif type == "object" and length > 0 then 1 + (map(nesting) | max)
  else 0 end;

def strict_json:
  if is_lexically_strict then . else error("they are not strict JSON") end
  # The text holds no control character now, so two of them can stand for two escapes.
  | split("\\\\") | join("\u0001") | split("\\\"") | join("\u0002") | split("\"")
  | [to_entries[] | select(.key % 2 == 0) | .value | split(":") | length - 1] as $pairs
  | [to_entries[] | if .key % 2 == 0 then .value | whole_numbers else .value end]
  | join("\"") | split("\u0002") | join("\\\"") | split("\u0001") | join("\\\\")
  | fromjson
  | if ([.. | objects | length] | add // 0) == ($pairs | add) then .
    else error("a key is repeated in one object") end
  | if nesting > 32 then error("they are nested deeper than 32 levels") else . end;
JQ
)

# The shapes of entries: a `?` marks what may be missing, `|` parts what may stand there.
SHAPES=$(cat <<'JQ'
# Seconds and microseconds since 1970, or null. An instant has one spelling.
def instant:
  ([capture("\\A(?<year>-00[0-9]{4}|[0-9]{4})-(?<month>0[1-9]|1[0-2])-(?<day>[0-9]{2})T(?<hour>[01][0-9]|2[0-3])"
    + ":(?<minute>[0-5][0-9]):(?<second>[0-5][0-9])(?<fraction>\\.[0-9]{0,5}[1-9])?Z\\z")][0]) as $text
  | if $text == null or $text.year == "-000000" then null else
    ((($text.fraction // "")[1:] + "000000")[:6] | tonumber) as $micros
    | ($text | del(.fraction) | map_values(tonumber)) as $t
    | (if $t.year % 4 == 0 and ($t.year % 100 != 0 or $t.year % 400 == 0) then 29 else 28 end) as $february
    | [31, $february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][$t.month - 1] as $days_of_month
    # Counted in years that begin in March, so that a leap day is the last of its year.
    | (if $t.month > 2 then $t.year else $t.year - 1 end) as $year
    | (365 * $year + ($year / 4 | floor) - ($year / 100 | floor) + ($year / 400 | floor)) as $days_before
    | ((153 * (($t.month + 9) % 12) + 2) / 5 | floor) as $days_of_year
    | [ ($days_before + $days_of_year + $t.day - 719469) * 86400 + $t.hour * 3600 + $t.minute * 60 + $t.second,
        $micros ] as $instant
    | if $t.day >= 1 and $t.day <= $days_of_month
        and $instant >= [-377705023201, 0] and $instant <= [253402207200, 0] then $instant else null end
    end;

def is_id: test("\\A[a-z0-9][a-z0-9._-]{0,63}\\z");

def fits($shape):
  if $shape == "value" then . != null
  elif $shape == "u32" then type == "number" and . <= 4294967295
  elif $shape == "u64" then type == "number"
  elif type != "string" then false
  elif $shape == "text" then true
  elif $shape == "id" then is_id
  elif $shape == "digest" then test("\\A[0-9a-f]{64}\\z")
  elif $shape == "object id" then test("\\A(?:[0-9a-f]{40}|[0-9a-f]{64})\\z")
  elif $shape == "instant" then instant != null
  else . as $text | $shape | split("|") | index($text) != null end;

# Says nothing when a value has its shape.
def check($shape; $at):
  def refuse($why): error("`\($at)` \($why)");
  if ($shape | type) == "array" then
    if type != "array" or (. == [] and $shape[1]) then refuse("is not a list, or is empty")
    else .[] | check($shape[0]; $at) end
  elif ($shape | type) == "string" then
    if fits($shape) then empty else refuse("is not of the form: \($shape)") end
  elif type != "object" then refuse("is not an object")
  elif $shape["*"] then .[] | check($shape["*"]; $at)
  elif $shape["|"] then
    if length == 1 and $shape["|"][keys[0]] then keys[0] as $key | .[$key] | check($shape["|"][$key]; "\($at).\($key)")
    else refuse("is none of \($shape["|"] | keys | join(", "))") end
  else
    . as $value
    | ($shape | keys | map({ key: rtrimstr("?"), value: . }) | from_entries) as $names
    | ($value | keys - ($names | keys) | if . != [] then refuse("has the unknown field `\(.[0])`") else empty end),
      ($names | to_entries[] | . as $name
        | if $value | has($name.key) then $value[$name.key] | check($shape[$name.value]; "\($at).\($name.key)")
          elif $name.key == $name.value then refuse("has no field `\($name.key)`")
          else empty end)
  end;

def roles: { version: "u32", "policy?": "solo|quorum",
  principals: [{ id: "id", kind: "human|ci|organisation", keys: ["text"] }],
  roles: { "*": { of: ["id"], threshold: "u32" } } };
def change: { roles: roles, "distrust?": [{ fingerprint: "text", last_trusted: "u64" }, "one or more"] };
def subject: { network: "id", artifacts: { "*": "digest" }, configuration: "digest", "versions?": { "*": "text" } };
def waiver: { phase: "id", gate: "id", scope: { "|": { subject: subject, configuration: "digest" } },
  reason: "text", expires: "instant", names: ["text"] };
def of_track: { phase: "id", track: "internal|public" };
def move: of_track + { from: "text", to: "text" };
def judged: { evaluation: { seq: "u64", digest: "digest" } };
def bodies: {
  genesis: { pipeline: "id", roles: roles, note: "text" },
  roles: (change + { "proposal?": "digest" }),
  event: { event: "text", "due?": "text", "phase?": "id", "track?": "internal|public", "deployment?": "id",
    "subject?": subject, "detail?": "value" },
  proposal: { roles_version: "u32", expires: "instant", what: { "|": { roles: change, waiver: waiver,
    transition: (move + { evaluation: "digest", policy: "digest", operator: "id" }) } } },
  approval: { proposal: "digest", principal: "id", role: "text", statement: "text" },
  withdraw: { approval: "digest" },
  waiver: (waiver + { "proposal?": "digest" }),
  evaluation: { at: "instant", week: "text", document: "digest", inputs: "digest",
    verdicts: { "*": "advance|hold|reset" } },
  advance: (move + judged + { "proposal?": "digest", reason: "text" }),
  hold: (of_track + judged + { reasons: ["text"] }),
  reset: (of_track + { to: "id", reason: "text", revokes: ["u64"] })
};
def statement: { _type: "text", predicateType: "text", subject: ["value"], predicate: {
  "ledger?": "digest", network: "id", seq: "u64", "prev?": "digest", time: "instant",
  pins: { pipeline: "object id", stages: "object id", evaluator: "text" },
  evidence: ["digest"], kind: (bodies | keys | join("|")), body: "value" } };

# The entry in a statement whose subjects are its pinned rules and its evidence.
def entry($statement; $bodies):
  check($statement; "statement"),
  (.predicate | .kind as $kind | .body | check($bodies[$kind]; "body of \($kind)")),
  if ._type != "https://in-toto.io/Statement/v1" then error("the statement type is another one")
  elif .predicateType != "https://phasegate.dev/ledger-entry/v1" then error("the predicate type is another one")
  elif .predicate.evidence != (.predicate.evidence | unique) 
    then error("its evidence is not in ascending order, each once")
  elif .subject != [
      (.predicate.pins | ("pipeline", "stages") as $name | { name: $name, digest: { gitTree: .[$name] } }),
      (.predicate.evidence[] | { name: "evidence/\(.)", digest: { sha256: . } })
    ] then error("its subjects are not its pinned rules and its evidence")
  else .predicate end;

# Lines of number, digest, signers, and base64 of the bytes; as objects, up to the first bad one.
def entries:
  statement as $statement | bodies as $bodies
  | label $done | inputs | split("\t") | { seq: (.[0] | tonumber), digest: .[1], signers: (.[2] | split(" ")) } as $known
  | .[3] as $bytes
  | try ($bytes | if . == "" then error("they are too many") else @base64d end
      | if @base64 == $bytes then strict_json | entry($statement; $bodies) else error("they are not UTF-8") end
      | $known + { entry: . })
    catch ($known + { fault: "its bytes are not an entry: \(.)" })
  | ., if .fault then break $done else empty end;
JQ
)

# ---- Who signed -------------------------------------------------------------------------------

KEYS=$(cat <<'JQ'
def white: "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

# The kind and the key of a line as in `id_ed25519.pub`; null when it is none of a kind that is taken.
def key: [capture("\\A[\(white)]*(?<key>(?:ssh-ed25519|sk-ssh-ed25519@openssh\\.com|ecdsa-sha2-nistp256|ssh-rsa) "
    + "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?)(?: |[\(white)]*\\z)").key][0];

def holders: [(.principals // [])[] | .id as $id | .keys[] | { id: $id, key: key } | select(.key)];

# The roles that an entry brings or proposes.
def brought: .entry.body | .roles // .what.roles.roles;

# The place of each entry by its digest.
def places: reduce .[] as $one ({}; .[$one.digest] //= $one.seq);

# Keys, one allowed_signers file for every set of roles, and each signature with the file that it is
# held against: the roles in force, and where roles change, also those that are to come.
def signatures:
  map(select(.fault | not)) as $all | ($all | places) as $place
  | [foreach $all[] as $one ({ after: 0 };
      { base: .after, after: (if $one.entry.kind == "roles" then $one.seq else .after end) };
      .base as $base | $one.entry
      | (if .kind == "roles" then $one.seq elif .kind == "approval" then $place[.body.proposal] else null end) as $extra
      | $one + if $extra and $extra <= $one.seq and ($all[$extra] | brought) and $extra != $base
          then { base: $base, extra: $extra, file: "\($base)+\($extra)" } else { base: $base, file: "\($base)" } end)]
  | ([$all[] | brought | select(.) | holders[].key] | unique[] | "key\t\(.)"),
    (unique_by(.file)[]
      | ($all[.base] | brought | holders) as $held
      # Nobody gets a further key for a name of now: it would decide in that name under the roles of now too.
      | [if .extra then $all[.extra] | brought | holders[]
          | select((.key | IN($held[].key) | not) and (.id | IN($held[].id) | not)) else empty end] as $new
      | .file as $file | ($held + $new)[] | "holder\t\($file)\t\(.id) \(.key)"),
    (.[] | .file as $file | .seq as $seq | .signers[] | "signature\t\($seq)\t\($file)\t\(.)");
JQ
)

# ---- The rules --------------------------------------------------------------------------------

RULES=$(cat <<'JQ'
def need($holds; $why): if $holds then . else error($why) end;
def refers($found; $what): need($found; "it refers to \($what), which is not in the ledger before it");

def member($roles; $role): . as $id | $roles.roles[$role].of // [] | any(.[]; . == $id);
def human($roles): . as $id | any($roles.principals[]; .id == $id and .kind == "human");
# Whether enough of these distinct people are members of the role.
def reach($roles; $role): map(select(member($roles; $role))) | unique | length >= $roles.roles[$role].threshold;

def check_roles($facts):
  need(.version > 0; "versions of roles start at 1")
  | need([.principals[].id] | length == (unique | length); "a principal is listed twice")
  | reduce .principals[] as $one (.; need($one.keys != []; "the principal `\($one.id)` has no key")
      | reduce $one.keys[] as $text (.; ($text | key) as $key
          | ($facts[$key // ""] // { fault: "it is no Ed25519, sk-Ed25519, P-256 or RSA key" }) as $known
          | need($known.fault == ""; "a key of `\($one.id)` is not taken: \($known.fault)")))
  | need([.principals[].keys[] | $facts[key].material] | length == (unique | length); "one key is listed twice")
  | need(.roles | has("root") and has("lead") and has("evaluator"); "`root`, `lead` and `evaluator` are required")
  | . as $roles
  | reduce (.roles | to_entries[]) as { key: $name, value: $role } (.;
      need($role.of | length == (unique | length); "the role `\($name)` lists somebody twice")
      | need(all($role.of[]; IN($roles.principals[].id)); "the role `\($name)` names somebody who is no principal")
      | need($role.threshold >= 1 and $role.threshold <= ($role.of | length); "the threshold of `\($name)` cannot be met")
      | if $name == "root" or $name == "lead" then
          need(all($role.of[]; human($roles)); "only humans decide, and `\($name)` lists another")
          | need($roles.policy == "solo" or $role.threshold >= 2;
              "`\($name)` needs one signature only, and the policy is not `solo`")
        else . end);

# Everything about one entry in its place; gives the roles and the void entries that follow from it.
def check_entry($all; $place; $facts; $before):
  def find($digest; $seq): $place[$digest] as $at | if $at != null and $at < $seq then $all[$at] else null end;
  def is_void: . as $one | $before.void | has($one.seq | tostring);
  def days($count): [.[0] + 86400 * $count, .[1]];
  def expiry($expires; $days): (.entry.time | instant) as $time | ($expires | instant) as $until
    | need($until > $time and $until <= ($time | days($days));
        "it has to expire after its time and at most \($days) days later");
  def plain: del(.proposal) | if .scope.subject then .scope.subject.versions //= {} else . end
    | if .roles then .roles.policy //= "quorum" else . end;

  # Places after the last trusted one that a key signed.
  def signed_by($lost; $seq):
    $all[:$seq][] | select(.seq > $lost.last_trusted and IN(.keys[]; $lost.fingerprint));

  # These void entries with those that rest on them, whoever signed these: what carries out a void proposal, or
  # one with a void approval, and advances that follow from a void evaluation.
  def with_what_rests($void; $seq): reduce $all[:$seq][] as $one ({ void: $void, lost: {} };
      $one.entry.body as $body | ($one.seq | tostring) as $at
      | if ($one.entry.kind == "advance" and .void["\($body.evaluation.seq)"])
          or ($one.entry.kind != "approval" and .lost[$body.proposal // ""]) then .void[$at] = true else . end
      | if .void[$at] | not then .
        elif $one.entry.kind == "proposal" then .lost[$one.digest] = true
        elif $one.entry.kind == "approval" then .lost[$body.proposal] = true
        else . end) | .void;
  def lost($distrusts; $seq): reduce (($distrusts // [])[] as $lost | signed_by($lost; $seq).seq) as $at ({}; .["\($at)"] = true);

  def check_evaluation($reference): .seq as $seq | $all[$reference.seq] as $found
    | refers($reference.seq < $seq and $found.digest == $reference.digest and $found.entry.kind == "evaluation"
        and ($found | is_void | not); "an evaluation");

  def check_change($change): .seq as $seq
    | need($change.roles.version == ($before.roles.version // 0) + 1; "the version of its roles is not the next one")
    | ($change.roles | check_roles($facts)) as $checked
    | reduce ($change.distrust // [])[] as $lost (.;
        need(any($change.roles.principals[].keys[]; $facts[key].fingerprint == $lost.fingerprint) | not;
          "the new roles still hold the distrusted key \($lost.fingerprint)")
        | need(any($all[:$seq][].keys[]; . == $lost.fingerprint);
            "the distrusted key \($lost.fingerprint) never signed here")
        | with_what_rests(lost([$lost]; $seq); $seq) as $gone
        | need(all($all[:$seq][] | select($gone["\(.seq)"]); .entry.kind != "roles" and .entry.kind != "genesis");
          "the key \($lost.fingerprint) set roles after its last trusted entry"));

  def check_waiver($waiver):
    need($waiver.reason | test("\\A[\(white)]*\\z") | not; "a waiver says why") | expiry($waiver.expires; 30);

  # The proposal with this digest, who agrees to it, and why it has lapsed.
  def consent($digest): . as $now | find($digest; .seq) as $proposed
    | refers($proposed and $proposed.entry.kind == "proposal" and ($proposed | is_void | not); "the proposal \($digest)")
    | $proposed.entry.body as $proposal | ($proposal.what | keys[0]) as $sort | $proposal.what[$sort] as $what
    | (if $sort == "roles" then "root" else "lead" end) as $role
    | [$all[$proposed.seq + 1:$now.seq][] | select(is_void | not)] as $later
    | [$later[].entry | select(.kind == "withdraw").body.approval] as $withdrawn
    | [$later[] | select(.entry.kind == "approval" and .entry.body.proposal == $digest and .entry.body.role == $role)
        | select(.digest | IN($withdrawn[]) | not) | .entry.body.principal] as $agreeing
    # Who operates or judged does not count.
    | (if $sort == "transition" then find($what.evaluation; $now.seq).signers + [$what.operator]
        + ([$all[:$now.seq][] | select((is_void | not) and .entry.kind == "event") | select(.entry.body
            | .event == "deployed" and .phase == $what.phase and .track == $what.track).signers] | last // [])
      else [] end) as $excluded
    | [$agreeing[] | select(IN($excluded[]) | not) | select($sort == "roles" or human($before.roles))] as $counted
    | { sort: $sort, what: $what,
        given: ($counted | reach($before.roles; $role) and ($sort != "roles" or reach($what.roles; $role))),
        lapse: (if ($now.entry.time | instant) >= ($proposal.expires | instant) then "it expired"
          elif $sort == "transition" and any($later[].entry; .kind == "evaluation") then "a newer evaluation judged anew"
          elif any($later[].entry; .kind == "roles") then "the roles changed"
          elif any($later[].entry; .kind != "approval" and .body.proposal == $digest) then "it was carried out"
          else null end) };

  def carries_out($digest; $sort; is_same): consent($digest) as $consent
    | need($consent.sort == $sort and ($consent.what | is_same); "it is not what its proposal proposes")
    | need($consent.lapse | not; "its proposal has lapsed: \($consent.lapse)")
    | need($consent.given or ($sort == "transition" and $before.roles.policy == "solo");
        "its proposal has too few approvals");

  # Advances that no longer count and that no reset has revoked.
  def unrevoked: .seq as $seq | [$all[:$seq][] | select(is_void and .entry.kind == "advance").seq]
    - [$all[:$seq][] | select(.entry.kind == "reset" and (is_void | not)).entry.body.revokes[]];

  def check_place: . as $one | $all[.seq - 1] as $last | .entry
    | need(.seq == $one.seq; "its own number is \(.seq); entries were dropped or reordered")
    | if $one.seq == 0 then
        need(.kind == "genesis" and (has("ledger") or has("prev") | not); "a ledger starts with a genesis entry")
      else need(.kind != "genesis"; "a genesis entry stands after the beginning")
        | need(.ledger == $all[0].digest; "it belongs to another ledger")
        | need(.prev == $last.digest; "it does not follow the entry before")
        | need(.network == $all[0].entry.network; "it is about another network")
        | need((.time | instant) >= ($last.entry.time | instant); "its time is before that of the entry before")
      end;

  def check_signers: .signers as $signers | .entry
    | [$before.roles, if .kind == "genesis" or .kind == "roles" then .body.roles else null end | select(.)] as $both
    | def all_reach($role): all($both[]; . as $roles | $signers | reach($roles; $role));
      def one_of($role): $before.roles as $roles | any($signers[]; member($roles; $role));
      def proposes($sort): ($before.roles as $roles | $signers | reach($roles; "evaluator"))
        or one_of("lead") or ($sort == "roles" and one_of("root"));
      .kind as $kind | .body
    | need($signers != [] and (
        if $kind == "genesis" then all_reach("root")
        elif $kind == "roles" then if .proposal then proposes("roles") else all_reach("root") end
        elif $kind == "waiver" then if .proposal then proposes("waiver") else all_reach("lead") end
        elif $kind == "approval" then .principal | IN($signers[])
        elif $kind == "withdraw" then true
        elif $kind == "evaluation" or $kind == "event" then $before.roles as $roles | $signers | reach($roles; "evaluator")
        elif $kind == "proposal" then proposes(.what | keys[0])
        else proposes("") end); "`\($signers | join("`, `"))` may not sign an entry of the kind `\($kind)`");

  def check_body: . as $one | .seq as $seq | .entry.kind as $kind | .entry.body as $body | .signers as $signers
    | if $kind == "genesis" then need($body.roles.version == 1; "its roles do not have the version 1")
        | ($body.roles | check_roles($facts)) as $checked | .
      elif $kind == "roles" then check_change($body)
        | if $body.proposal then carries_out($body.proposal; "roles"; plain == ($body | plain)) else . end
      elif $kind == "event" then need($body.event | is_id; "its event has no name in the form of an id")
      elif $kind == "proposal" then expiry($body.expires; 14)
        | need($body.roles_version == $before.roles.version; "another version of the roles is in force")
        | if $body.what.roles then check_change($body.what.roles)
          elif $body.what.waiver then check_waiver($body.what.waiver)
          else ([$all[:$seq][] | select(.entry.kind == "evaluation" and (is_void | not)).digest] | last) as $newest
            | need($newest and $body.what.transition.evaluation == $newest; "it does not rest on the newest evaluation") end
      elif $kind == "approval" then find($body.proposal; $seq) as $proposed
        | refers($proposed and $proposed.entry.kind == "proposal"; "the proposal \($body.proposal)")
        | need(($proposed | is_void | not)
              or all($one.keys[]; IN($before.roles.principals[].keys[] | $facts[key].fingerprint));
            "it is signed by a key that the roles in force do not hold")
        | [$before.roles, $proposed.entry.body.what.roles.roles | select(.)] as $deciding
        | need(any($deciding[]; . as $roles | $body.principal | human($roles) and member($roles; $body.role))
            and ($body.role == "root" or ($deciding | length) == 1); "`\($body.principal)` is no human with that role")
      elif $kind == "withdraw" then find($body.approval; $seq) as $approved
        | refers($approved and $approved.entry.kind == "approval"; "the approval \($body.approval)")
        | need($approved.entry.body.principal | IN($signers[]); "only who approved can withdraw it")
      elif $kind == "waiver" then check_waiver($body)
        | if $body.proposal then carries_out($body.proposal; "waiver"; plain == ($body | plain)) else . end
      elif $kind == "evaluation" then
        need($body.week | test("\\A[0-9]{4}-W(?:0[1-9]|[1-4][0-9]|5[0-3])\\z");
          "its week is not written such as 2026-W02")
        | need(($body.at | instant) <= (.entry.time | instant); "it judges what was still to come")
        | need(all($body.verdicts | keys[] / "/"; length == 2 and (.[0] | is_id) and (.[1] | IN("internal", "public")));
          "a verdict is about `<phase>/internal` or `<phase>/public`")
      elif $kind == "advance" then check_evaluation($body.evaluation) | unrevoked as $open
        | need($all[$body.evaluation.seq].entry.body.verdicts["\($body.phase)/\($body.track)"] == "advance";
            "its evaluation does not say that this track advances")
        | need($open == []; "entry \($open[0]) is an advance that no longer counts, and no reset has revoked it")
        | need($body.proposal or $before.roles.policy == "solo"; "it names no proposal, and nobody decides alone")
        | if $body.proposal then carries_out($body.proposal; "transition"; .phase == $body.phase and .track == $body.track
            and .from == $body.from and .to == $body.to and .evaluation == $body.evaluation.digest) else . end
      elif $kind == "hold" then check_evaluation($body.evaluation)
      else reduce $body.revokes[] as $at (.;
        refers($at < $seq and $all[$at].entry.kind == "advance"; "an advance at entry \($at)")) end;

  need(.fault | not; .fault)
  | need((.keys | length) == (.signers | length); "not every signature of it counts")
  | check_place as $_ | check_signers as $_ | check_body
  | .seq as $seq | .entry.body as $body
  | if .entry.kind == "genesis" or .entry.kind == "roles" then
      { roles: $body.roles, void: (if $body.distrust then with_what_rests($before.void + lost($body.distrust; $seq); $seq)
            | with_entries(select($all[.key | tonumber].entry.kind | IN("roles", "genesis") | not))
        else $before.void end) }
    else $before end;

# The first entry that breaks a rule, or what there is to say about the ledger.
def verdict($all; $facts): ($all | places) as $place
  | label $done | foreach ($all[], null) as $one ({ void: {} };
      if $one == null then .done = true
      else . as $before | try ($one | check_entry($all; $place; $facts; $before)) catch { why: ., seq: $one.seq } end;
      if .why then "problem\t\(.seq)\t\(.why)", break $done
      elif .done then
        ["good", ($all | length), $all[0].digest, $all[-1].digest, .roles.version, .roles.policy // "quorum"] | @tsv
      else empty end);

def keys_from($lines): $lines / "\n" | map(select(. != "") / "\t"
  | { key: .[0], value: { fingerprint: .[1], material: .[2], fault: .[3] } }) | from_entries;
JQ
)

# ---- Problems ---------------------------------------------------------------------------------

usage() { echo "usage: verify-ledger.sh [--genesis SHA256] [--remember SEQ:SHA256] LEDGER" >&2; exit 2; }
refuse() { printf '%s\n' "$1" >&2; exit 1; }
# One line, whatever the text holds.
problem() { printf '%s\t%s\n' "$1" "${2//[![:print:]]/?}" >>"$work/problems"; }

# ---- Arguments --------------------------------------------------------------------------------

genesis= remembered= ledger=
while (($#)); do
  case $1 in
    --genesis) genesis=${2-}; [[ $genesis =~ ^[0-9a-f]{64}$ ]] || usage; shift 2 ;;
    --remember) remembered=${2-}; [[ $remembered =~ ^[0-9]{1,15}:[0-9a-f]{64}$ ]] || usage; shift 2 ;;
    -*) usage ;;
    *) [[ -z $ledger ]] || usage; ledger=$1; shift ;;
  esac
done
[[ -n $ledger ]] || usage
for tool in jq sha256sum ssh-keygen base64 head mktemp od sort wc; do
  command -v "$tool" >/dev/null || { echo "verify-ledger.sh needs $tool; install it" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/problems"

# ---- Reading: nothing is written or followed before its name, kind and size are known -----------

# Copies the entries of the branch into $work/entries.
read_branch() {
  local git=(git --no-replace-objects --git-dir="$1") mode kind oid size size_max path tree
  command -v git >/dev/null || { echo "verify-ledger.sh needs git to read a repository; install it" >&2; exit 2; }
  mkdir "$work/entries"
  "${git[@]}" rev-parse --verify --quiet "$BRANCH^{tree}" >/dev/null ||
    refuse "entry 000000: the repository has no branch phase-ledger"
  "${git[@]}" ls-tree -z "$BRANCH" entries >"$work/tree"
  [[ -s $work/tree ]] || return 0
  IFS=$' \t' read -r -d '' mode kind tree path <"$work/tree"
  [[ $mode == 040000 ]] || refuse "entries is not a folder"
  "${git[@]}" ls-tree -r -t -l -z "$tree" >"$work/tree"
  while IFS= read -r -d '' path; do
    read -r mode kind oid size <<<"${path%%$'\t'*}"
    path=${path#*$'\t'}
    if [[ $mode == 040000 && $path =~ ^$NUMBER$ && ! -e $work/entries/$path ]]; then
      mkdir "$work/entries/$path"
    elif [[ $mode == 100644 && $path =~ ^$NUMBER/$FILE$ && -d $work/entries/${path%/*} &&
      ! -e $work/entries/$path ]]; then
      size_max=$SIGNATURE_BYTES_MAX
      [[ $path != */entry.json ]] || size_max=$ENTRY_BYTES_MAX
      [[ $size =~ ^[0-9]+$ && $size -le $size_max ]] || refuse "$(printf 'entries/%q is too large' "$path")"
      : >"$work/entries/$path"
      printf '%s\n' "$oid" >&3
      printf '%s\n' "$path" >>"$work/paths"
    else
      refuse "$(printf 'entries/%q has a foreign name, is there twice, or is no plain file' "$path")"
    fi
  done <"$work/tree" 3>"$work/oids"
  [[ -s $work/oids ]] || return 0
  exec 4<"$work/paths"
  "${git[@]}" cat-file --batch <"$work/oids" | while read -r oid kind size && IFS= read -r path <&4; do
    [[ $kind == blob ]] || exit 1
    head -c "$size" >"$work/entries/$path"
    read -r
  done || refuse "the repository lacks objects of the branch phase-ledger"
}

has_branch() { git --git-dir="$1" rev-parse --verify --quiet "$BRANCH" >/dev/null 2>&1; }

# The branch counts before the files that lie beside it.
if [[ -e $ledger/.git ]] && { [[ ! -e $ledger/entries ]] || has_branch "$ledger/.git"; }; then
  read_branch "$ledger/.git"; entries=$work/entries
elif [[ -f $ledger/HEAD && -d $ledger/objects && ! -e $ledger/entries ]]; then
  read_branch "$ledger"; entries=$work/entries
elif [[ -d $ledger/entries && ! -L $ledger/entries ]]; then
  entries=$ledger/entries
else
  echo "$ledger is neither a repository with the branch phase-ledger nor a folder with entries/" >&2; exit 2
fi

folders=("$entries"/*)
count=${#folders[@]}
for folder in "${folders[@]}"; do
  [[ -d $folder && ! -L $folder && ${folder##*/} =~ ^$NUMBER$ ]] ||
    refuse "$(printf 'entries/%q is not the folder of an entry' "${folder##*/}")"
  for file in "$folder"/*; do
    [[ -f $file && ! -L $file && ${file##*/} =~ ^$FILE$ ]] ||
      refuse "$(printf 'entries/%q/%q is neither an entry nor a signature' "${folder##*/}" "${file##*/}")"
  done
  [[ -f $folder/entry.json ]] || refuse "entries/${folder##*/} has no entry.json"
done
((count)) || refuse "entry 000000: a ledger starts with a genesis entry, and here is none"

files=()
for ((seq = 0; seq < count; seq++)); do
  printf -v 'files[seq]' '%06d/entry.json' "$seq"
  [[ -f $entries/${files[seq]} ]] || refuse "$(printf 'entry %06d: it is missing' "$seq")"
done
# Many files at once, so that a long ledger takes few processes.
of_all_entries() { (cd "$entries" && for ((at = 0; at < count; at += 500)); do "$@" "${files[@]:at:500}"; done); }
of_all_entries sha256sum >"$work/digests"
of_all_entries wc -c >"$work/sizes"
seq=0
while read -r size file <&3; do
  [[ $file != total ]] || continue
  read -r digest _ <&4
  signers=("$entries/${file%/*}"/*.sig)
  signers=("${signers[@]##*/}")
  printf '%s\t%s\t%s\t' "$seq" "$digest" "${signers[*]%.sig}"
  ((size > ENTRY_BYTES_MAX)) || base64 -w0 "$entries/$file"
  echo
  seq=$((seq + 1))
done 3<"$work/sizes" 4<"$work/digests" >"$work/lines"
jq -n -R -c "$JSON $SHAPES entries" <"$work/lines" >"$work/parsed" || refuse "jq failed; nothing was verified"

# ---- Keys and signatures ----------------------------------------------------------------------

# Splits strings with their lengths before them, in hexadecimal digits, into the array `field`.
split_fields() {
  local rest=$1 size
  field=()
  while [[ -n $rest ]]; do
    ((${#rest} >= 8)) || return 1
    size=$((16#${rest:0:8} * 2))
    ((${#rest} >= 8 + size)) || return 1
    field+=("${rest:8:size}")
    rest=${rest:8+size}
  done
}
# Sets `hex`.
decode() { hex=$(base64 -d <<<"$1" 2>/dev/null | od -An -v -tx1) && hex=${hex//[$' \n']/}; }

# Points of Ed25519 that anybody can sign for, without their sign: OpenSSH takes them.
readonly WEAK_POINTS=" $(printf '%064d' 0) 01$(printf '%062d' 0)\
 26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05\
 c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\
 ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\
 edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\
 eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f "
is_weak() { local last; printf -v last '%02x' $((16#${1:62:2} & 127)); [[ $WEAK_POINTS == *" ${1:0:62}$last "* ]]; }

# One line: the key, its fingerprint, what makes it one secret whatever wraps it, and the fault.
key_facts() {
  local key=$1 hex fault= material= bits= fingerprint=
  printf '%s\n' "$key" >"$work/key"
  if ! decode "${key#* }" || ! split_fields "$hex" ||
    ! read -r bits fingerprint _ < <(ssh-keygen -l -f "$work/key" 2>/dev/null); then
    fault="ssh-keygen does not read it"
  else
    case $key in
      ssh-ed25519\ * | sk-ssh-ed25519*)
        material=${field[1]}
        if is_weak "$material"; then fault="anybody could sign for it"; fi ;;
      ecdsa-*) material=${field[2]} ;;
      *)
        material=${field[2]}
        ((bits >= RSA_BITS_MIN)) || fault="it has $bits bits; at least $RSA_BITS_MIN are required" ;;
    esac
  fi
  [[ -z $fault ]] || material=
  printf '%s\t%s\t%s\t%s\n' "$key" "$fingerprint" "$material" "$fault"
}

readonly ED25519=7373682d65643235353139 SK_ED25519=736b2d7373682d65643235353139406f70656e7373682e636f6d
readonly BEGIN='-----BEGIN SSH SIGNATURE-----' END='-----END SSH SIGNATURE-----'
readonly ARMOR_LINES=$'^([A-Za-z0-9+/=]{70}\n)*[A-Za-z0-9+/=]{1,70}\n$'
readonly BASE64='^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$'
# The order of Ed25519's group: the second half of a signature is a smaller number.
readonly GROUP_ORDER=1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed

# ssh-keygen reads several spellings of one signature. A ledger holds one, as ssh-keygen writes it.
# Sets `fault` when the file is another.
check_spelling() {
  local text= body hex key signature scalar= at
  fault="it is not an armored SSH signature as ssh-keygen writes it"
  # Ends well with a NUL, or when there is more than that, and badly at the end of the file.
  ! IFS= read -r -d '' -n $((SIGNATURE_BYTES_MAX + 1)) text <"$1" || return 0
  body=${text#"$BEGIN"$'\n'}
  body=${body%"$END"$'\n'}
  [[ $text == "$BEGIN"$'\n'"$body$END"$'\n' && $body =~ $ARMOR_LINES && ${body//$'\n'/} =~ $BASE64 ]] || return 0
  # `SSHSIG`, version 1, key, namespace, what is reserved and empty, hash, signature.
  decode "$body" && [[ $hex == 53534853494700000001* ]] && split_fields "${hex:20}" || return 0
  [[ ${#field[@]} == 5 && -z ${field[2]} ]] || return 0
  key=${field[0]} signature=${field[4]}
  split_fields "$key" || return 0
  case ${field[0]} in
    "$SK_ED25519")
      fault="the security key signed without being touched"
      ((16#${signature: -10:2} & 1)) || return 0
      signature=${signature:0:-10} ;;&
    "$SK_ED25519" | "$ED25519")
      fault="its Ed25519 signature is not strict"
      split_fields "$signature" && ((${#field[@]} == 2 && ${#field[1]} == 128)) || return 0
      for ((at = 126; at >= 64; at -= 2)); do scalar+=${field[1]:at:2}; done
      [[ $scalar < $GROUP_ORDER ]] && ! is_weak "${field[1]:0:64}" || return 0 ;;
  esac
  fault=
}

check_signature() {
  local seq=$1 file=$2 signer=$3 folder said fault
  printf -v folder '%s/%06d' "$entries" "$seq"
  check_spelling "$folder/$signer.sig"
  if [[ -n $fault ]]; then
    problem "$seq" "the signature of \`$signer\` does not count: $fault"
  elif said=$(ssh-keygen -Y verify -f "$work/signers.$file" -I "$signer" -n "$NAMESPACE" \
    -s "$folder/$signer.sig" <"$folder/entry.json" 2>&1); then
    # Good "namespace" signature for PRINCIPAL with KIND key SHA256:…
    printf '%s\t%s\n' "$seq" "${said##* }" >>"$work/signed"
  else
    problem "$seq" "the signature of \`$signer\` does not count: ssh-keygen says: $said"
  fi
}

jq -r -s "$KEYS signatures" "$work/parsed" >"$work/wanted" || refuse "jq failed; nothing was verified"
: >"$work/keys"
: >"$work/signed"
while IFS=$'\t' read -r what one two; do
  case $what in
    key) key_facts "$one" >>"$work/keys" ;;
    holder) printf '%s namespaces="%s" %s\n' "${two%% *}" "$NAMESPACE" "${two#* }" >>"$work/signers.$one" ;;
  esac
done <"$work/wanted"

# Every so many-th signature, so that all cores have some.
check_some() {
  local nth=$1 of=$2 line=0 what seq file signer
  while IFS=$'\t' read -r what seq file signer; do
    [[ $what == signature ]] && ((line++ % of == nth)) || continue
    check_signature "$seq" "$file" "$signer"
  done <"$work/wanted"
}
cores=$(nproc 2>/dev/null || echo 1)
for ((nth = 0; nth < cores; nth++)); do check_some "$nth" "$cores" & done
wait

# ---- The verdict ------------------------------------------------------------------------------

jq -n -r --slurpfile parsed "$work/parsed" --rawfile keys "$work/keys" --rawfile signed "$work/signed" \
  "$SHAPES $KEYS $RULES"'
  (reduce ($signed / "\n" | .[] | select(. != "") / "\t") as [$seq, $key] ({}; .[$seq] += [$key])) as $by
  | verdict($parsed | map(.keys = $by["\(.seq)"] // []); keys_from($keys))' \
  >"$work/verdict" || refuse "jq failed; nothing was verified"
IFS=$'\t' read -r what one two three version policy <"$work/verdict"
if [[ $what == problem ]]; then problem "$one" "$two"; fi
if [[ -s $work/problems ]]; then
  sort -s -n -k1,1 "$work/problems" |
    while IFS=$'\t' read -r seq why; do printf 'entry %06d: %s\n' "$seq" "$why"; done >&2
  exit 1
fi
[[ $what == good ]] || refuse "jq failed; nothing was verified"

if [[ -n $genesis && $genesis != "$two" ]]; then
  refuse "entry 000000: its digest is $two, but $genesis was expected; this is another ledger"
fi
if [[ -n $remembered ]]; then
  seq=$((10#${remembered%%:*}))
  printf -v file '%s/%06d/entry.json' "$entries" "$seq"
  [[ -f $file ]] || refuse "$(printf 'entry %06d: it was in the ledger before and is gone; keep both copies' "$seq")"
  read -r digest _ < <(sha256sum <"$file")
  [[ $digest == "${remembered#*:}" ]] ||
    refuse "$(printf 'entry %06d: it had another digest before: the ledger was rewritten; keep both copies' "$seq")"
fi
[[ $policy != solo ]] || policy="solo: one person may decide alone"
printf '%06d entries verify, genesis %s, head %s, roles version %s (policy %s)\n' \
  "$one" "$two" "$three" "$version" "$policy"
