"""Small changes of a module's code, each of which some test should notice.

A `Mutant` is one change: a statement taken out, a comparison or an operation turned into another, a
number changed, an operand or an argument left out. It is named by what it changes in which
function, not by its line, so that its name lasts.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Another boundary, and the opposite.
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum",
             "maximum": "minimum", "floor": "ceil", "ceil": "floor"}  # fmt: skip
SCOPES = (ast.FunctionDef, ast.ClassDef)
# An argument that asserts what holds anyway.
ASSERTIONS = ("strict",)
# What a number is named together with.
NAMED = (ast.expr, ast.keyword, ast.Assign, ast.AugAssign, ast.Return)
TESTED = (ast.If, ast.While, ast.IfExp)
Edit = tuple[str, str, Callable[[], None]]  # before, after, and what changes the copy of the tree


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module.

    Attributes:
        file: the module's path below the root.
        scope: the outermost function, such as `ClassMaps.add`; empty for a module's own statements.
        name: file, function and change; no other mutant has it.
        first: the first line of the statement that it changes.
        last: the last line of it.
        place: its number among the mutants of the module.
    """

    file: str
    scope: str
    name: str
    first: int
    last: int
    place: int

    def tree(self, root: Path) -> ast.Module:
        """The whole module with the change."""
        tree = ast.parse((root / self.file).read_text("utf-8"))
        *_, (_, _, change) = _sites(tree)[self.place]
        change()
        return ast.fix_missing_locations(tree)


def mutants_of(root: Path, file: str) -> Iterator[Mutant]:
    """Yields the mutants of a module, from its top to its end."""
    counts: Counter[str] = Counter()
    sites = _sites(ast.parse((root / file).read_text("utf-8")))
    for place, (scope, inner, statement, (before, after, _)) in enumerate(sites):
        name = f"{file} {inner}: {before} → {after}"
        counts[name] += 1
        if counts[name] > 1:
            name += f" ({counts[name]})"
        yield Mutant(file, scope, name, statement.lineno, _head_end(statement), place)


def _head_end(statement: ast.stmt) -> int:
    """The last line of a statement, without the statements in it."""
    body = getattr(statement, "body", None)
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno


def _sites(tree: ast.Module) -> list[tuple[str, str, ast.stmt, Edit]]:
    """All changes: the outermost and the innermost function, the statement, and the change."""
    sites: list[tuple[str, str, ast.stmt, Edit]] = []

    def visit(node: ast.AST, scope: tuple[str, ...], outer: str, statement: ast.stmt) -> None:
        if isinstance(node, ast.stmt):
            statement = node
        sites.extend((outer, ".".join(scope), statement, edit) for edit in _edits(node, outer))
        for field, value in ast.iter_fields(node):
            if _is_skipped(node, field):
                continue
            inside, function = scope, outer
            if isinstance(node, SCOPES) and field == "body":
                inside = (*scope, node.name)
                if isinstance(node, ast.FunctionDef):
                    function = outer or ".".join(inside)
            for child in value if isinstance(value, list) else [value]:
                # What a class holds is not swapped, but for its functions.
                is_held = isinstance(node, ast.ClassDef) and not isinstance(child, SCOPES)
                if isinstance(child, ast.AST) and not is_held:
                    visit(child, inside, function, statement)

    for top in tree.body:
        targets = ast.unparse(top.targets) if isinstance(top, ast.Assign) else ""
        visit(top, (targets,) if targets else (), "", top)
    return sites


def _is_skipped(node: ast.AST, field: str) -> bool:
    """Whether changes in a part of a node say nothing: types, formats, the code of Windows."""
    if (
        field == "args"
        and isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(".reshape")
    ):
        return True  # to numpy any negative length is the one to compute, and others do not fit
    if field in ("annotation", "returns", "decorator_list", "format_spec", "bases", "type_params"):
        return True
    if isinstance(node, ast.keyword) and node.arg in ASSERTIONS:
        return True
    windows = isinstance(node, ast.If) and "win32" in ast.unparse(node.test)
    return windows and field in ("test", "body")


def _edits(node: ast.AST, function: str) -> Iterator[Edit]:
    """The changes of one node; the nodes in it have their own."""
    if function:
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and not _is_skipped(node, name):
                yield from _removals(statements, node)
    for field, value in ast.iter_fields(node):
        if _is_skipped(node, field) or (not function and isinstance(node, ast.ClassDef)):
            continue
        if isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.expr):
                    yield from _replacements(child, _setter(value, index), node)
        elif isinstance(value, ast.expr):
            yield from _replacements(value, lambda new, at=field: setattr(node, at, new), node)
    match node:
        case ast.Call(keywords=keywords):
            for index, keyword in enumerate(keywords):
                if keyword.arg not in (None, *ASSERTIONS):
                    yield _left_out(node, keywords, index)
        case ast.comprehension(ifs=conditions):
            for index, condition in enumerate(conditions):
                yield f"if {ast.unparse(condition)}", "all", lambda at=index: conditions.pop(at)
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds)):
            for index in range(len(kinds)):
                yield _left_out(node.type, kinds, index)
        case ast.Slice():
            for end in ("lower", "upper", "step"):
                if getattr(node, end) is not None:
                    without = copy.copy(node)
                    setattr(without, end, None)
                    yield _text(node), _text(without), lambda at=end: setattr(node, at, None)
        case ast.AugAssign(op=operation) if type(operation) in OPERATIONS:
            other = copy.copy(node)
            other.op = OPERATIONS[type(operation)]()
            yield _text(node), _text(other), lambda: setattr(node, "op", other.op)


def _setter(values: list[ast.expr], index: int) -> Callable[[ast.expr], None]:
    return lambda new: values.__setitem__(index, new)


def _left_out(node: ast.AST, parts: list[ast.AST], index: int) -> Edit:
    """The change that takes one part out of a node, such as an argument out of a call."""
    before, part = _text(node), parts.pop(index)
    after = _text(node)
    parts.insert(index, part)
    return before, after, lambda: parts.pop(index)


def _removals(statements: list[ast.stmt], owner: ast.AST) -> Iterator[Edit]:
    """The changes that take a statement out."""
    for index, statement in enumerate(statements):
        match statement:
            case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete():
                pass
            case ast.Raise() | ast.Continue() | ast.Break():
                pass
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                pass
            case ast.Return() if not isinstance(owner, SCOPES):
                pass
            case _:
                continue
        yield (
            _text(statement),
            "pass",
            lambda at=index: statements.__setitem__(
                at, ast.copy_location(ast.Pass(), statements[at])
            ),
        )


def _replacements(
    node: ast.expr, put: Callable[[ast.expr], None], parent: ast.AST
) -> Iterator[Edit]:
    """The changes that put another expression in the place of one.

    Args:
        node: the expression.
        put: puts another one in its place.
        parent: what the expression is a part of, for the words.
    """

    def edit(new: ast.expr) -> Edit:
        new = ast.copy_location(new, node)
        if not isinstance(node, ast.Constant) or not isinstance(parent, NAMED):
            return _text(node), _text(new), lambda: put(new)
        before = _text(parent)
        put(new)
        after = _text(parent)
        put(node)
        return before, after, lambda: put(new)

    match node:
        case ast.Compare(ops=[operation]):
            for other in COMPARISONS[type(operation)]:
                yield edit(ast.Compare(node.left, [other()], node.comparators))
        case ast.BinOp(op=operation) if type(operation) in OPERATIONS and not _is_text(node):
            yield edit(ast.BinOp(node.left, OPERATIONS[type(operation)](), node.right))
        case ast.BoolOp(values=values):
            for index in range(len(values)):
                rest = values[:index] + values[index + 1 :]
                yield edit(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield edit(node.operand)
        case ast.Constant(value=bool(value)):
            yield edit(ast.Constant(not value))
        case ast.Constant(value=int(value)):
            for other in {value + 1, value // 2} - {value}:
                yield edit(ast.Constant(other))
        case ast.Constant(value=float(value)):
            for other in {value * 2, value / 2} - {value} or {1.0}:
                yield edit(ast.Constant(other))
        case ast.IfExp():
            yield edit(node.body)
            yield edit(node.orelse)
        case ast.Call(func=ast.Name(id=name)) if name.endswith("_bytes"):
            yield edit(ast.BinOp(node, ast.FloorDiv(), ast.Constant(2)))  # memory counted half
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield edit(ast.Call(ast.Name(FUNCTIONS[name], ast.Load()), node.args, node.keywords))
        case ast.Call(func=ast.Attribute(attr=name)) if name in FUNCTIONS:
            function = ast.Attribute(node.func.value, FUNCTIONS[name], ast.Load())
            yield edit(ast.Call(function, node.args, node.keywords))
    # A comparison and an operation in a test have their own changes.
    if isinstance(parent, TESTED) and node is parent.test:
        is_plain = not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp)
        if is_plain or (isinstance(node, ast.Compare) and len(node.ops) > 1):
            yield edit(ast.UnaryOp(ast.Not(), node))


def _is_text(node: ast.BinOp) -> bool:
    """Whether an operation joins texts, as far as can be seen."""
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in (node.left, node.right)
    )


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())
