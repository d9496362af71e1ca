"""Tables, arrays, pages, replies: which names of a library compute something, which change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Family:
    """The data classes of one library, and what their methods and its functions do."""

    package: str
    made: type
    """Stands for the class of whatever comes out of an instance."""
    own: type | None = None
    """Stands for the class of what is certainly a copy: to assign to it changes nothing else."""
    mask: type | None = None
    """Stands for the class of what tells for each row whether something is so."""
    classes: frozenset[str] = frozenset()
    """Names of the classes; empty: all of the package that are not in `others`."""
    others: frozenset[str] = frozenset()
    """Names of classes that are no data."""
    reads: frozenset[str] = frozenset()
    """Methods that compute something."""
    changes: frozenset[str] = frozenset()
    """Methods that change the instance."""
    texts: frozenset[str] = frozenset()
    """Methods that compute something immutable, and attributes that are it."""
    written: frozenset[str] = frozenset()
    """Methods that give a text, or write it where they are told to."""
    functions: frozenset[str] = frozenset()
    """Functions of the package that compute something."""
    files: frozenset[str] = frozenset()
    """Functions and classes that read a file or a page on the way."""
    asks: frozenset[str] = frozenset()
    """Methods that give a mask."""
    copies: frozenset[str] = frozenset()
    """Methods and functions that give a copy."""
    called: str = ""
    """The method that calling an instance runs."""
    leading: frozenset[str] = frozenset()
    """Classes to which others may add attributes of their own."""


def _names(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


class _Frames:
    """What comes out of a table of pandas."""


class _OwnFrames:
    """A table of pandas that shares nothing but its elements with another one."""


class _Masks:
    """What tells for each row of a table whether something is so."""


class _Arrays:
    """What comes out of an array of numpy."""


class _OwnArrays:
    """An array of numpy that shares nothing but its elements with another one."""


class _Pages:
    """What comes out of a parsed page."""


class _Papers:
    """What comes out of a PDF file that is read."""


class _Shown:
    """What is made to be shown on the screen."""


class _Replies:
    """What comes out of the reply of a server."""


class _Rows:
    """What a database answers: a cursor, rows of a table."""


class Connection:
    """A connection to a database that a node has opened for itself."""


_ARITHMETIC: Final = _names(
    "abs add sub subtract mul multiply div divide truediv floordiv mod pow radd rsub rmul rdiv",
    "rtruediv rfloordiv rmod rpow dot eq ne lt le gt ge all any clip cummax cummin cumprod cumsum",
    "max min mean median sum prod product std var sem skew kurt kurtosis mode round rank diff",
    "quantile count nunique",
)
PANDAS: Final = Family(
    package="pandas",
    made=_Frames,
    own=_OwnFrames,
    mask=_Masks,
    asks=_names("isin isna isnull notna notnull between duplicated contains eq ne lt le gt ge"),
    copies=_names(
        "copy dropna sort_values sort_index reset_index drop drop_duplicates fillna assign merge",
        "join groupby describe value_counts pivot_table melt explode nlargest nsmallest astype",
        "reindex concat json_normalize crosstab get_dummies read_csv read_excel read_json",
        "read_table from_dict from_records",
    ),
    others=_names("ExcelWriter HDFStore StataWriter CSVWriter ExcelFile"),
    reads=_ARITHMETIC
    | _names(
        "add_prefix add_suffix agg aggregate align apply asfreq asof assign astype at_time bfill",
        "between_time combine combine_first compare convert_dtypes copy corr corrwith cov describe",
        "drop drop_duplicates droplevel dropna duplicated equals ewm expanding explode ffill",
        "fillna filter first_valid_index get groupby head tail idxmax idxmin infer_objects",
        "interpolate",
        "isin isna isnull items iterrows itertuples join keys last_valid_index map mask melt",
        "memory_usage merge nlargest notna notnull nsmallest pct_change pipe pivot pivot_table",
        "reindex reindex_like rename rename_axis reorder_levels replace resample reset_index",
        "rolling sample select_dtypes set_axis set_index shift sort_index sort_values squeeze",
        "stack swaplevel take to_numpy to_period to_records to_timestamp transform transpose",
        "truncate tz_convert tz_localize unstack value_counts where xs argmax argmin argsort",
        "autocorr between divmod factorize item repeat searchsorted to_frame to_list tolist unique",
        "first last nth size ngroup cumcount get_group from_dict from_records dropna",
        "contains extract extractall findall match fullmatch len slice get_dummies cat pad zfill",
        "total_seconds strftime normalize day_name month_name isocalendar date time to_pydatetime",
        "set_categories add_categories isocalendar to_flat_index get_level_values difference union",
        "intersection symmetric_difference get_loc to_dict",
    ),
    changes=_names("insert isetitem pop update"),
    written=_names("to_string to_csv to_json to_html to_markdown to_latex to_xml"),
    functions=_names(
        "bdate_range concat crosstab cut date_range factorize get_dummies from_dummies infer_freq",
        "interval_range isna isnull json_normalize lreshape melt merge merge_asof merge_ordered",
        "notna notnull period_range pivot pivot_table qcut timedelta_range to_datetime to_numeric",
        "to_timedelta unique wide_to_long array",
    ),
    files=_names(
        "read_csv read_excel read_json read_table read_fwf read_html read_xml read_parquet",
        "read_feather read_orc read_stata",
    ),
    leading=_names("DataFrame Series Index"),
)
_NUMPY: Final = Family(
    package="numpy",
    made=_Arrays,
    own=_OwnArrays,
    copies=_names(
        "copy flatten astype array arange concatenate zeros ones full empty eye linspace stack",
        "vstack hstack zeros_like ones_like full_like empty_like add subtract multiply divide",
        "matmul where sort argsort unique",
    ),
    others=_names(
        "memmap Generator RandomState SeedSequence BitGenerator MT19937 PCG64 PCG64DXSM Philox",
        "SFC64 nditer errstate printoptions DataSource vectorize ufunc",
    ),
    reads=_ARITHMETIC
    | _names(
        "argmax argmin argpartition argsort astype choose compress conj conjugate copy diagonal",
        "flatten item nonzero ravel repeat reshape searchsorted squeeze swapaxes take tolist trace",
        "transpose view tobytes",
    ),
    changes=_names("fill itemset partition put resize sort byteswap setfield setflags"),
    functions=_names(
        "abs absolute add all allclose amax amin angle any append arange arccos arcsin arctan",
        "arctan2 argmax argmin argpartition argsort argwhere around array array_equal array_split",
        "asarray ascontiguousarray atleast_1d atleast_2d average bincount broadcast_to ceil",
        "clip column_stack concatenate convolve corrcoef correlate cos cosh count_nonzero cov",
        "cross cumprod cumsum deg2rad degrees delete diag diagonal diff digitize divide dot dsplit",
        "dstack einsum empty empty_like equal exp expand_dims expm1 eye flatnonzero flip floor",
        "floor_divide fmax fmin full full_like geomspace gradient greater greater_equal histogram",
        "hsplit hstack hypot identity in1d inner insert interp intersect1d isclose isfinite isin",
        "isinf isnan isscalar kron less less_equal linspace log log10 log1p log2 logical_and",
        "logical_not logical_or logical_xor logspace matmul max maximum mean median meshgrid min",
        "minimum mod moveaxis multiply nan_to_num nanargmax nanargmin nanmax nanmean nanmedian",
        "nanmin nanpercentile nanstd nansum nanvar ndim negative nonzero not_equal ones ones_like",
        "outer pad percentile poly1d polyfit polyval power prod ptp quantile rad2deg radians ravel",
        "reciprocal remainder repeat reshape roll rot90 round searchsorted setdiff1d shape sign",
        "sin sinh size sort split sqrt square squeeze stack std subtract sum swapaxes take tan",
        "tanh tensordot tile trace transpose trapezoid tri tril triu true_divide trunc union1d",
        "unique unravel_index var vdot vsplit vstack where zeros zeros_like norm inv pinv det eig",
        "eigh eigvals svd qr solve lstsq matrix_rank cond fft ifft rfft irfft",
    ),
)
_BS4: Final = Family(
    package="bs4",
    made=_Pages,
    called="find_all",
    reads=_names(
        "find find_all findAll find_next find_next_sibling find_next_siblings find_parent",
        "find_parents find_previous find_previous_sibling find_previous_siblings find_all_next",
        "find_all_previous findChild findChildren findNext findParent findNextSibling select",
        "select_one get get_attribute_list new_tag new_string index",
    ),
    changes=_names(
        "append clear decompose extend extract insert insert_after insert_before replace_with",
        "replace_with_children replaceWith smooth unwrap wrap",
    ),
    texts=_names(
        "get_text getText prettify decode decode_contents encode encode_contents has_attr"
    ),
)
_PYPDF: Final = Family(
    package="pypdf",
    made=_Papers,
    classes=_names("PdfReader PageObject DocumentInformation"),
    reads=_names("get_page get_outline get_fields get_form_text_fields get_object"),
    texts=_names("extract_text get_num_pages get_page_number"),
    files=_names("PdfReader"),
)
_PYPDF2: Final = Family(
    package="PyPDF2",
    made=type("_OldPapers", (_Papers,), {}),
    classes=_PYPDF.classes,
    reads=_PYPDF.reads,
    texts=_PYPDF.texts,
    files=_PYPDF.files,
)
_DOCX: Final = Family(
    package="docx",
    made=type("_Letters", (_Papers,), {}),
    classes=_names("Document Paragraph Table Run"),
    changes=_names("add_paragraph add_heading add_run add_table add_row add_picture"),
    files=_names("Document"),
)
_RICH: Final = Family(
    package="rich",
    made=_Shown,
    classes=_names(
        "Table Panel Markdown Text Syntax Tree Columns Rule Group Padding Align JSON Style Box"
    ),
    reads=_names("copy split wrap append_text"),
    changes=_names(
        "add_row add_column add_section add append append_text stylize highlight_words truncate"
    ),
    texts=_names("from_markup"),
)
_REPLY: Final = _names(
    "status_code status ok text content reason reason_phrase url encoding charset is_success",
    "is_error is_redirect content_type apparent_encoding",
)
_REPLIES: Final = tuple(
    Family(package=package, made=made, classes=_names("Response ClientResponse"), texts=_REPLY)
    for package, made in (
        ("requests", type("_Reply", (_Replies,), {})),
        ("httpx", type("_HttpxReply", (_Replies,), {})),
        ("aiohttp", type("_AioReply", (_Replies,), {})),
    )
)
ROWS: Final = Family(
    package="",
    made=_Rows,
    reads=_names("fetchone fetchmany fetchall close keys mappings scalar scalars one first all"),
)
"""What comes out of a database; only a cursor that the node itself has made is known by it."""
FAMILIES: Final = (
    *(PANDAS, _NUMPY, _BS4, _PYPDF, _PYPDF2, _DOCX, _RICH),
    *(*_REPLIES, ROWS),
)
