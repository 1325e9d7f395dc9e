"""The checklist's texts in Chinese: the same questions as in English. Ours; they may train as little."""

from model.evaluation.checklist import Check
from model.evaluation.checklist_cases import filled, pairs, said, swapped

COMPANIES = ("长江精工", "北岭银行", "沃尔玛", "西门子")
OTHERS = ("东湖药业", "丰田汽车", "南港物流", "辉瑞")

OF_A_COMPANY = (
    "{}上调全年业绩预期",
    "{}发布盈利预警，股价大跌9%",
    "{}将于周四公布第二季度业绩",
    "{}任命新的投资者关系主管",
    "{}因安全缺陷召回两百万件产品",
    "{}中标4亿美元合同",
    "{}宣布裁员3000人",
    "{}拟每股派息0.4元",
    "{}涉嫌财务造假被立案调查",
)

GOOD_AND_BAD = (
    ("券商上调芯片股评级至买入", "券商下调芯片股评级至卖出"),
    ("央行意外降息，市场大受提振", "央行警告通胀失控，市场恐慌"),
    ("新手机上市首日售罄", "新手机因电池起火被召回"),
    ("公司提前偿还全部到期债券", "公司债券违约，无力兑付"),
    ("公司连续十年提高分红", "公司取消分红以保留现金"),
    ("净利润同比翻倍，创历史新高", "净利润同比腰斩，由盈转亏"),
    ("发现大型油田，产量有望翻番", "油轮泄漏，钻井平台被迫停产"),
    ("银行顺利通过压力测试", "银行遭挤兑，暂停取款"),
    ("人民币升至一年新高", "货币暴跌至历史新低"),
    ("三大指数集体高开高走，创年内新高", "三大指数暴跌，千股跌停"),
    ("两国签署和平协议", "和谈破裂，冲突升级"),
    ("新股上市首日大涨40%", "新股上市首日破发"),
    ("今天涨停，太爽了", "今天跌停，亏惨了"),
    ("加仓买入，看好后市", "割肉离场，再也不碰了"),
    ("国内生产总值增速超预期", "经济连续三个季度萎缩"),
)

NEGATED = (
    ("{}已实现盈利", "{}不再盈利"),
    ("{}今年将派发股息", "{}今年不派发股息"),
    ("{}预计今年销售增长", "{}预计今年销售不会增长"),
    ("{}新药获批上市", "{}新药未能获批上市"),
    ("{}不再面临破产", "{}面临破产"),
    ("监管机构不会处罚{}", "监管机构将处罚{}"),
    ("{}未发生债务违约", "{}发生债务违约"),
)

MORE_OR_LESS = (
    ("净利润同比增长{}%", "净利润同比下降{}%"),
    ("营业收入同比上升{}%", "营业收入同比下滑{}%"),
    ("股价盘中涨{}%", "股价盘中跌{}%"),
    ("亏损收窄{}%", "亏损扩大{}%"),
    ("失业率下降{}个百分点", "失业率上升{}个百分点"),
)

BAD_NEWS_OF_NO_MARKET = (
    "飓风造成数十人死亡，百万户停电",
    "地震摧毁数千栋房屋",
    "工厂火灾致九名工人遇难",
    "医院不堪重负，疫情持续蔓延",
    "高官涉嫌受贿被捕",
)

PLAIN_FACTS = (
    "公司将于5月召开年度股东大会",
    "央行公布6月会议纪要",
    "统计局将于上午十点公布数据",
    "法院将于周一开庭审理",
    "基金披露季度末持仓",
    "航空公司调整两个航班的起飞时间",
)

SWAPPED_COMPANIES = swapped(OF_A_COMPANY, COMPANIES, OTHERS)

CHECKS = (
    Check("another company, the same sentiment (zh)", "invariance", SWAPPED_COMPANIES),
    Check("another company, the same topic (zh)", "invariance", SWAPPED_COMPANIES, head="topic"),
    Check("more and less of what is good or bad (zh)", "direction", pairs(MORE_OR_LESS, ("3", "18", "52"))),
    Check("not and no longer turn good and bad round (zh)", "direction", pairs(NEGATED, COMPANIES[:2])),
    Check("good news is better than bad news, topic by topic (zh)", "direction", pairs(GOOD_AND_BAD, ("",))),
    Check(
        "a beat is positive (zh)",
        "minimum functionality",
        said("positive", texts=filled(("{}超出市场预期", "{}好于预期"), ("季度净利润", "营收", "交付量"))),
    ),
    Check(
        "a miss is negative (zh)",
        "minimum functionality",
        said("negative", texts=filled(("{}低于市场预期", "{}不及预期"), ("季度净利润", "营收", "交付量"))),
    ),
    Check(
        "bad news of no market is negative (zh)",
        "minimum functionality",
        said("negative", texts=BAD_NEWS_OF_NO_MARKET),
    ),
    Check("a plain fact is neutral (zh)", "minimum functionality", said("neutral", texts=PLAIN_FACTS)),
)
